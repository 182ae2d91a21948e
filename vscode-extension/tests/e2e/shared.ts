/** The one session that all tests of a run share. */

import assert from "node:assert/strict";
import { Session } from "./session";

let shared: Session | undefined;

export function session(): Session {
  return shared ?? assert.fail("The session has not been started.");
}

export async function startSession(): Promise<void> {
  shared = await Session.start();
}

export async function stopSession(): Promise<void> {
  await shared?.stop();
  shared = undefined;
}
