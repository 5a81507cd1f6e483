/** Plays many seeds, in several processes at once. */

import { fork } from 'node:child_process';
import { register } from 'node:module';
import { fileURLToPath } from 'node:url';
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

/** The task of a process. */
interface Task extends SeedRange {
  readonly mutation: Mutation | undefined;
}
type Answer = { readonly ended: Outcome };

/** The greatest number of seeds that a process plays before it asks for more. */
const CHUNK_MAX = 250;

export async function playSeeds(options: PlayOptions): Promise<Outcome> {
  if (options.jobs === 1 || options.count === 1) {
    return await playHere(options, options.mutation, options.isTracing);
  }
  return await playOnProcesses(options);
}

/** Plays seeds in this process, up to the first that fails. Loads the engine, with the fault if there is one. */
async function playHere(range: SeedRange, mutation: Mutation | undefined, isTracing: boolean): Promise<Outcome> {
  if (mutation) register('./mutation-loader.js', import.meta.url, { data: mutation });
  const { playSeed } = await import('./simulation.js');
  for (let played = 0; played < range.count; played++) {
    const result = await playSeed(range.start + played, isTracing);
    if (result.finding !== undefined) return { played: played + 1, failure: result };
  }
  return { played: range.count, failure: undefined };
}

/**
 * Plays seeds in several processes. If several fail, the lowest is reported, so all seeds below it are still played.
 */
async function playOnProcesses({ start, count, jobs, mutation }: PlayOptions): Promise<Outcome> {
  let next = start;
  let played = 0;
  let failure: SeedResult | undefined;
  const end = start + count;
  const chunk = Math.min(CHUNK_MAX, Math.ceil(count / jobs));
  await Promise.all(
    Array.from({ length: Math.min(jobs, Math.ceil(count / chunk)) }, async () => {
      const child = fork(fileURLToPath(new URL('./seed-process.js', import.meta.url)));
      try {
        while (next < end && (failure === undefined || next < failure.seed)) {
          const task: Task = { start: next, count: Math.min(chunk, end - next), mutation };
          next += task.count;
          const outcome = await ask(child, task);
          played += outcome.played;
          if (outcome.failure && outcome.failure.seed < (failure?.seed ?? end)) failure = outcome.failure;
        }
      } finally {
        child.kill();
      }
    }),
  );
  return { played, failure };
}

function ask(child: ReturnType<typeof fork>, task: Task): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => {
      reject(new Error(`a process that played seeds from ${task.start} on ended with ${code}`));
    };
    child.once('exit', onExit);
    child.once('message', (answer: Answer) => {
      child.off('exit', onExit);
      resolve(answer.ended);
    });
    child.send(task);
  });
}

/** Plays the seeds that the parent process sends: the other side of `playOnProcesses`. */
export function serveSeeds(): void {
  let isFirst = true;
  process.on('message', async ({ mutation, ...range }: Task) => {
    const ended = await playHere(range, isFirst ? mutation : undefined, false);
    isFirst = false;
    process.send?.({ ended });
  });
}
