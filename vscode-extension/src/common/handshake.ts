/** Decides whether a server that was found may be used. */

import { PROTOCOL_VERSION } from "./messages";

export interface Verdict {
  readonly usable: boolean;
  /** What is wrong and what to run; empty where nothing is. */
  readonly problem: string;
}

/**
 * @param place - where the server was found
 * @param server - what it says of itself
 * @param update - what brings a newer server there
 */
export function judge(
  place: string,
  server: { readonly version: string; readonly protocolVersion: unknown },
  update: string,
): Verdict {
  const { version, protocolVersion } = server;
  if (protocolVersion === PROTOCOL_VERSION) {
    return { usable: true, problem: "" };
  }
  if (typeof protocolVersion === "number" && protocolVersion > PROTOCOL_VERSION) {
    const problem = `The server ${version} at ${place} is newer than this extension. Update the extension.`;
    return { usable: false, problem };
  }
  return { usable: false, problem: `The server ${version} at ${place} is too old for this extension. Run: ${update}` };
}
