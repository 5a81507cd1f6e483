/** Plays many seeds, on several threads at once. */

import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { Mutation } from './mutations.js';
import type { SeedResult } from './simulation.js';

export interface SeedRange {
  readonly start: number;
  readonly count: number;
}

export interface PlayOptions extends SeedRange {
  readonly jobs: number;
  /** The fault that is put into the engine, if any. */
  readonly mutation: Mutation | undefined;
  readonly isTracing: boolean;
}

export interface Outcome {
  /** The number of seeds played. */
  readonly played: number;
  readonly failure: SeedResult | undefined;
}

/** The greatest number of seeds that a thread plays before it gets more. */
const CHUNK_MAX = 250;

export async function playSeeds(options: PlayOptions): Promise<Outcome> {
  if (options.jobs === 1 || options.count === 1) {
    return await playHere(options, options.mutation, options.isTracing);
  }
  return await playOnThreads(options);
}

/** Plays seeds on this thread, up to the first that fails. Loads the engine, with the fault if there is one. */
export async function playHere(range: SeedRange, mutation: Mutation | undefined, isTracing: boolean): Promise<Outcome> {
  if (mutation) register('./mutation-loader.js', import.meta.url, { data: mutation });
  const { playSeed } = await import('./simulation.js');
  for (let played = 0; played < range.count; played++) {
    const result = await playSeed(range.start + played, isTracing);
    if (result.finding !== undefined) return { played: played + 1, failure: result };
  }
  return { played: range.count, failure: undefined };
}

/**
 * Plays seeds on several threads. If several fail, the lowest is reported, so all seeds below it are still played.
 */
async function playOnThreads({ start, count, jobs, mutation }: PlayOptions): Promise<Outcome> {
  let next = start;
  let played = 0;
  let failure: SeedResult | undefined;
  const end = start + count;
  const chunk = Math.min(CHUNK_MAX, Math.ceil(count / jobs));
  const threads = Math.min(jobs, Math.ceil(count / chunk));
  const filename = fileURLToPath(new URL('./seed-worker.js', import.meta.url));
  const pool = new Piscina<SeedRange, Outcome>({
    filename,
    minThreads: threads,
    maxThreads: threads,
    workerData: mutation,
  });
  const work = async () => {
    while (next < end && (failure === undefined || next < failure.seed)) {
      const range: SeedRange = { start: next, count: Math.min(chunk, end - next) };
      next += range.count;
      const outcome = await pool.run(range, { name: 'play' });
      played += outcome.played;
      if (outcome.failure && outcome.failure.seed < (failure?.seed ?? end)) failure = outcome.failure;
    }
  };
  try {
    await Promise.all(Array.from({ length: threads }, work));
  } finally {
    await pool.destroy();
  }
  return { played, failure };
}
