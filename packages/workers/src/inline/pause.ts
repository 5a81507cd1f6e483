/** The pauses of long work that can be aborted. */

import type { Pause } from '@blobyard/core';
import { throwIfAborted } from '../failures.js';

/** How long the work may go on before other work of the thread gets a turn. */
const SLICE_MS = 8;

/** Gives other work of the thread its turns, and ends the work between two steps of it when it is aborted. */
export function pauseUnlessAborted(signal: AbortSignal | undefined): Pause {
  let sliceEnd = 0;
  return async () => {
    throwIfAborted(signal);
    if (performance.now() < sliceEnd) return;
    await new Promise((resolve) => setImmediate(resolve));
    sliceEnd = performance.now() + SLICE_MS;
  };
}
