/** The threads of I/O workers that were started before there is a store for them to serve. */

import { IoThread } from './io-thread.js';

/**
 * Threads that load their code while the metadata worker opens the store. Only the client's thread uses it.
 */
export class IoThreads {
  readonly #entry: URL;
  #ready: IoThread[];

  /** Starts `count` threads. @param entry - the file that they load */
  constructor(count: number, entry: URL) {
    this.#entry = entry;
    this.#ready = Array.from({ length: count }, () => new IoThread(entry));
  }

  /**
   * Returns a thread that was started before, if there is one that is alive as far as is known; otherwise starts one.
   * The caller must end it.
   */
  take(): IoThread {
    for (let thread = this.#ready.pop(); thread !== undefined; thread = this.#ready.pop()) {
      if (thread.isAlive) return thread;
    }
    return new IoThread(this.#entry);
  }

  /** Ends the threads that nobody has taken, once they have loaded their code. */
  async end(): Promise<void> {
    const left = this.#ready;
    this.#ready = [];
    await Promise.all(left.map(endOnceLoaded));
  }
}

/**
 * Ends a thread that may still be loading its code. It waits until the code is loaded: Node can abort the process if a
 * thread is terminated while it loads modules.
 */
async function endOnceLoaded(thread: IoThread): Promise<void> {
  await thread.end().catch(() => undefined);
  await thread.terminate();
}
