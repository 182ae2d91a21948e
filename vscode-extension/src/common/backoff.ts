/** How long to wait before a server that died is started again, and when to give up. */

const LONGEST = 30_000;
const MOST_IN_A_ROW = 5;
/** A server that ran for so long has recovered: the next fault is a new one. */
const RECOVERED = 60_000;

export class Backoff {
  #deaths = 0;

  /**
   * The server has died.
   *
   * @param ran - for how long it had been running, in milliseconds
   * @returns how many milliseconds to wait, or undefined where starting it again makes no sense any more
   */
  next(ran: number): number | undefined {
    this.#deaths = ran >= RECOVERED ? 1 : this.#deaths + 1;
    return this.#deaths > MOST_IN_A_ROW ? undefined : Math.min(LONGEST, 1000 * 2 ** (this.#deaths - 1));
  }

  /** The user starts it by hand: what was before does not count. */
  reset(): void {
    this.#deaths = 0;
  }
}
