/** A module loader hook that puts one fault into a built file of `packages/core`. It runs on the loader's thread. */

import type { Mutation } from './mutations.js';

interface Loaded {
  source?: string | ArrayBuffer | NodeJS.TypedArray | null;
}

let wanted: Mutation | undefined;

export function initialize(mutation: Mutation): void {
  wanted = mutation;
}

export async function load(
  url: string,
  context: unknown,
  nextLoad: (url: string, context: unknown) => Promise<Loaded>,
): Promise<Loaded> {
  const loaded = await nextLoad(url, context);
  if (!wanted || !url.endsWith(`/packages/core/dist/${wanted.file}`)) return loaded;
  const source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
  const parts = source.split(wanted.snippet);
  if (parts.length !== 2) {
    throw new Error(
      `fault '${wanted.name}': ${wanted.file} has its snippet ${parts.length - 1} times, not once; update mutations.ts`,
    );
  }
  return { ...loaded, source: parts.join(wanted.replacement) };
}
