/** A thread that plays seeds: see `playOnThreads`. Its data is the fault that is put into the engine, if any. */

import { workerData } from 'piscina';
import type { Mutation } from './mutations.js';
import { type Outcome, playHere, type SeedRange } from './play-seeds.js';

let isFirst = true;

/** Plays a range of seeds. The fault is put into the engine before the first one. */
export function play(range: SeedRange): Promise<Outcome> {
  const mutation = isFirst ? (workerData as Mutation | undefined) : undefined;
  isFirst = false;
  return playHere(range, mutation, false);
}
