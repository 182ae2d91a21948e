/** All tests against the packed extension in a real editor. */

import "./environment";
import "./in-host";
import "./page";
import "./troubles";
import "./views";
import { startSession, stopSession } from "./shared";

before(async function () {
  this.timeout(300_000); // the first time, the editor has to be installed
  await startSession();
});

after(async function () {
  this.timeout(60_000);
  await stopSession();
});
