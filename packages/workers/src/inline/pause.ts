/** The pauses of long work that can be aborted. */

import type { Pause } from '@blobyard/core';
import { longWorkTurns } from '../data/loop-turns.js';
import { throwIfAborted } from '../failures.js';

/** Gives other work of the thread its turns, and ends the work between two steps of it when it is aborted. */
export function pauseUnlessAborted(signal: AbortSignal | undefined): Pause {
  return () => {
    throwIfAborted(signal);
    return longWorkTurns.pass();
  };
}
