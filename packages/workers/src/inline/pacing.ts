/** How long work is made to wait for who watches it, where that is another thread. */

import type { Pause } from '@blobyard/core';
import type { LongWorkOptions } from '../api/long-work.js';

/** The key of an option of long work that its users do not have. */
export const PAUSE = Symbol('pause');

export interface PacedWorkOptions extends LongWorkOptions {
  /** Called after each cluster; the work goes on when it resolves, and ends with what it throws. */
  readonly [PAUSE]?: Pause;
}
