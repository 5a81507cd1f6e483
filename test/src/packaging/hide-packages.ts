/** Preloaded in each thread of a program: the packages that BLOBYARD_HIDDEN names, with commas, cannot be loaded. */

import module from 'node:module';

const hidden = process.env.BLOBYARD_HIDDEN?.split(',') ?? [];
const internals = module as unknown as { _load(name: string, ...rest: unknown[]): unknown };
const load = internals._load;

internals._load = function (name, ...rest) {
  if (hidden.includes(name)) throw Object.assign(new Error(`no package ${name}`), { code: 'MODULE_NOT_FOUND' });
  return load.call(this, name, ...rest);
};
