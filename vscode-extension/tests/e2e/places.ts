/** Where things are. */

import * as path from "node:path";

export const EXTENSION = path.resolve(__dirname, "../..");
export const REPOSITORY = path.dirname(EXTENSION);
/** The Python with the server in it. */
export const PYTHON = process.env["OSMOSIS_PYTHON"] ?? path.join(REPOSITORY, ".venv", "bin", "python");
export const DEMO = path.join(REPOSITORY, "server", "osmosis_synthesize", "demo");
/** What goes into the package. */
export const DIST = path.join(EXTENSION, "dist");
export const VSIX = path.join(EXTENSION, "osmosis-synthesize.vsix");
