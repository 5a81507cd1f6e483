/** The pauses of long work that can be aborted. */

import type { Pause } from '@blobyard/core';
import { throwIfAborted } from '../api/failures.js';
import { longWorkTurns } from './loop-turns.js';

/** Gives other work of the thread its turns, and ends the work between two steps of it when it is aborted. */
export function pauseUnlessAborted(signal: AbortSignal | undefined): Pause {
  return () => {
    throwIfAborted(signal);
    return longWorkTurns.pass();
  };
}
