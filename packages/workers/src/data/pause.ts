/** The pauses of long operations that can be aborted. */

import type { Pause } from '@blobyard/core';
import { throwIfAborted } from '../api/failures.js';
import { longWorkTurns } from './loop-turns.js';

/** Returns a pause that lets other work of the thread run, and fails if the signal is aborted. */
export function pauseUnlessAborted(signal: AbortSignal | undefined): Pause {
  return () => {
    throwIfAborted(signal);
    return longWorkTurns.pass();
  };
}
