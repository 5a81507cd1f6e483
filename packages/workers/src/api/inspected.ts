/** How `console.log` and `util.inspect` show the objects of the API. */

import { inspect } from 'node:util';

/** Text for `inspect.custom`: what the object is in JSON, after its name. `depth` below 0: only the name. */
export function inspected(name: string, shown: { toJSON(): object }, depth: number, options: object): string {
  return depth < 0 ? `[${name}]` : `${name} ${inspect(shown.toJSON(), options)}`;
}
