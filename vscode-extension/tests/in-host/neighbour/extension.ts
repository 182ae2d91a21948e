/** Stands in for two extensions that ours may find beside it: the one for Python, whose name it has, and one with a language model. */

import { type Environments, interpreters } from "./interpreters";
import { type Models, models } from "./models";

export interface Neighbour {
  readonly environments: Environments;
  readonly models: Models;
}

export function activate(): Neighbour {
  return { environments: interpreters(), models: models() };
}
