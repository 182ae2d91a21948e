/** Where the extension host starts the tests: `run` ends with an error if one has failed. */

import Mocha from "mocha";

export async function run(): Promise<void> {
  const mocha = new Mocha({ timeout: 60_000, reporter: "spec", color: false });
  mocha.addFile(`${__dirname}/first.test.js`);
  const failures = await new Promise<number>((resolve) => mocha.run(resolve));
  if (failures > 0) {
    throw new Error(`${String(failures)} tests have failed.`);
  }
}
