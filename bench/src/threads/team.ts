/**
 * A team of threads that do one job together: the operations of a call are handed out to them in chunks, so that they end at the
 * same time. The time of a call runs from where the first one begins to where the last one ends, by the system's one clock.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { JobSpec } from './job.js';

const THREAD = new URL('./team-thread.js', import.meta.url);
/** More operations than any call has. */
const ALL_TAKEN = 2 ** 30;

/** What a thread is told to do. */
export interface Order {
  readonly job: number;
  readonly operations: number;
  readonly chunk: number;
  readonly call: number;
  readonly argument: bigint;
}

/** What a thread answers. Times are milliseconds of the system's clock. */
export interface Done {
  readonly begin: number;
  readonly end: number;
  readonly sum: number;
  readonly figures?: Readonly<Record<string, number>>;
}

export interface TeamWork {
  /** By its place in the list that the team was started with. */
  readonly job: number;
  readonly operations: number;
  /** Threads that take part; all, unless given. */
  readonly threads?: number;
  /** Operations that a thread takes at once; 64 unless given. */
  readonly chunk?: number;
  /** What the job is given. */
  readonly argument?: bigint;
}

/** What came of a call. */
export interface TeamResult {
  readonly milliseconds: number;
  /** Does not depend on who did what. */
  readonly sum: number;
  readonly figures: readonly Readonly<Record<string, number>>[];
}

export class Team {
  readonly #workers: readonly Worker[];
  /** The next operation that nobody has taken. */
  readonly #next: Int32Array;
  /** Calls of each job. */
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

  /** Has a job done. One call at a time. */
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

  /** Ends the call that is under way, after the chunks that threads have. */
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
