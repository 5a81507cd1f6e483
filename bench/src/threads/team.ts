/**
 * A team of threads that execute a job together. They take the operations of a call in chunks, so that all end at about
 * the same time. The time of a call is from the begin of the first thread to the end of the last one; all threads use
 * the same clock.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { JobSpec } from './job.js';

const THREAD = new URL('./team-thread.js', import.meta.url);
/** A value of `next` above the number of operations of any call: no chunk is left. */
const ALL_TAKEN = 2 ** 30;

/** What each thread is asked to do in a call. */
export interface Order {
  readonly job: number;
  readonly operations: number;
  readonly chunk: number;
  readonly call: number;
  readonly argument: bigint;
}

/** The result of a thread. Times are in milliseconds of the system's monotonic clock. */
export interface Done {
  readonly begin: number;
  readonly end: number;
  readonly sum: number;
  readonly figures?: Readonly<Record<string, number>>;
}

export interface TeamWork {
  /** Index in the list of jobs that the team was started with. */
  readonly job: number;
  readonly operations: number;
  /** Number of threads that take part. Default: all. */
  readonly threads?: number;
  /** Operations in a chunk. Default: 64. */
  readonly chunk?: number;
  /** The argument for the job's `begin`. */
  readonly argument?: bigint;
}

/** The result of a call. */
export interface TeamResult {
  readonly milliseconds: number;
  /** The checksum; it does not depend on which thread executed which operations. */
  readonly sum: number;
  readonly figures: readonly Readonly<Record<string, number>>[];
}

export class Team {
  readonly #workers: readonly Worker[];
  /** One shared word: the first operation that no thread has taken. */
  readonly #next: Int32Array;
  /** The number of calls of each job so far. */
  readonly #calls: number[];

  private constructor(workers: readonly Worker[], next: Int32Array, jobs: number) {
    this.#workers = workers;
    this.#next = next;
    this.#calls = new Array(jobs).fill(0);
  }

  static async start(threads: number, jobs: readonly JobSpec[]): Promise<Team> {
    const next = new Int32Array(new SharedArrayBuffer(64));
    const workers = Array.from({ length: threads }, () => new Worker(THREAD, { workerData: { jobs, next } }));
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    return new Team(workers, next, jobs.length);
  }

  /** Executes a call of a job. Only one call at a time. */
  async run({
    job,
    operations,
    threads = this.#workers.length,
    chunk = 64,
    argument = 0n,
  }: TeamWork): Promise<TeamResult> {
    Atomics.store(this.#next, 0, 0);
    const call = this.#calls[job]++;
    const order: Order = { job, operations, chunk, call, argument };
    const answers = this.#workers.slice(0, threads).map(async (worker) => {
      worker.postMessage(order);
      const [answer] = await once(worker, 'message'); // rejects when the thread fails
      return answer as Done;
    });
    const done = await Promise.all(answers);
    return {
      milliseconds: Math.max(...done.map(({ end }) => end)) - Math.min(...done.map(({ begin }) => begin)),
      sum: done.reduce((sum, each) => (sum + each.sum) | 0, 0),
      figures: done.flatMap(({ figures }) => (figures ? [figures] : [])),
    };
  }

  /** Ends the current call after the chunks that the threads have already taken. */
  halt(): void {
    Atomics.store(this.#next, 0, ALL_TAKEN);
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#workers.map(async (worker) => {
        const ended = once(worker, 'exit');
        worker.postMessage(undefined);
        await ended;
      }),
    );
  }
}
