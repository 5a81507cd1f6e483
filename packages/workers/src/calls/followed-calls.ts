/**
 * Long work that runs on the metadata thread, on the side of the thread that called it. This side receives progress,
 * and passes on the abort signal. The other side is `ClientCallbacks`.
 */

import { aborted, throwIfAborted } from '../api/failures.js';
import type { LongWorkOptions, Progress } from '../api/long-work.js';
import { CauseElsewhere } from '../threads/wire-error.js';
import type { Followed } from './service-events.js';

interface FollowedCall {
  readonly onProgress: ((progress: Progress) => void) | undefined;
  /** What `onProgress` threw. */
  thrown: unknown;
}

/** How messages are sent to the metadata thread. */
export interface Followers {
  abort(call: number): void;
  seen(call: number, isRefused: boolean): void;
}

/** The followed calls of one client. */
export class FollowedCalls {
  readonly #tell: Followers;
  readonly #calls = new Map<number, FollowedCall>();
  #nextCall = 1;

  constructor(tell: Followers) {
    this.#tell = tell;
  }

  /** True while there is work under way that waits for this thread to see its progress. */
  get areWatched(): boolean {
    return [...this.#calls.values()].some(({ onProgress }) => onProgress !== undefined);
  }

  /**
   * Runs a call of long work. `begin` gets what the metadata thread needs to report progress and to be aborted.
   * Throws the error of an abort, and the errors of `begin`.
   */
  async follow<T>({ signal, onProgress }: LongWorkOptions, begin: (followed: Followed) => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    const call = this.#nextCall++;
    const followed: FollowedCall = { onProgress, thrown: undefined };
    this.#calls.set(call, followed);
    const onAbort = () => this.#tell.abort(call);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await begin({ call, hasProgress: onProgress !== undefined });
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      if (!(cause instanceof CauseElsewhere)) throw error;
      if (cause.which === 'signal') throw aborted(signal?.reason);
      (error as Error).cause = followed.thrown;
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#calls.delete(call);
    }
  }

  /** Calls `onProgress` with progress that was received. Then sends `seen`, for which the metadata thread waits. */
  progressed(call: number, progress: Progress): void {
    const followed = this.#calls.get(call);
    if (followed === undefined) return;
    let isRefused = false;
    try {
      followed.onProgress?.(progress);
    } catch (thrown) {
      followed.thrown = thrown;
      isRefused = true;
    }
    this.#tell.seen(call, isRefused);
  }
}
