/** The threads of I/O workers: each is a piscina pool of one thread. */

import { Piscina } from 'piscina';
import type { WorkerCode } from '../threads/worker-code.js';
import { execArgvForFiles } from '../threads/worker-options.js';

const ENTRIES: Readonly<Record<WorkerCode, URL>> = {
  built: new URL('../built/io-worker.js', import.meta.url),
  modules: new URL('./io-worker.js', import.meta.url),
};

/**
 * Threads that are started before there is a store for them to serve, so that they load their code while the metadata
 * worker opens the store. Only the client's thread uses it.
 */
export class IoThreads {
  readonly #code: WorkerCode;
  #ready: Piscina[];

  /** Starts `count` threads. */
  constructor(count: number, code: WorkerCode) {
    this.#code = code;
    this.#ready = Array.from({ length: count }, () => startPool(code));
  }

  /**
   * Returns a thread that was started before and has not ended as far as is known; otherwise a new one. The caller must
   * end it.
   */
  take(): Piscina {
    for (let pool = this.#ready.pop(); pool !== undefined; pool = this.#ready.pop()) {
      if (pool.threads.length > 0) return pool;
      void pool.destroy(); // its thread has failed to start
    }
    return startPool(this.#code);
  }

  /** Ends the threads that nobody has taken, once they have loaded their code. */
  async end(): Promise<void> {
    const left = this.#ready;
    this.#ready = [];
    await Promise.all(left.map(endOnceLoaded));
  }
}

/**
 * Ends a thread that may still be loading its code. It waits for that: Node.js can abort the process when a thread is
 * terminated while it loads modules.
 */
async function endOnceLoaded(pool: Piscina): Promise<void> {
  const [thread] = pool.threads;
  const exit = thread && new Promise((resolve) => thread.once('exit', resolve));
  if (exit) await Promise.race([exit, pool.run(undefined, { name: 'end' })]).catch(() => undefined);
  await pool.destroy();
}

/** Starts a pool of one thread. The thread begins to load its code at once. */
function startPool(code: WorkerCode): Piscina {
  const pool = new Piscina({
    filename: ENTRIES[code].href,
    name: 'begin', // piscina looks this export up when it loads the file, and keeps it
    minThreads: 1,
    maxThreads: 1,
    execArgv: execArgvForFiles(),
    atomics: 'disabled', // else an idle thread would block in Atomics.wait, and its event loop would not serve the ring
  });
  pool.on('error', () => undefined); // the seat learns of the end by the thread's `exit` event
  return pool;
}
