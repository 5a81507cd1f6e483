/** Options of long work: those of its users, checked, and how it is made to wait for who watches it from another thread. */

import type { Pause } from '@blobyard/core';
import type { CopyOptions, LongWorkOptions } from '../api/long-work.js';
import { checkBooleanOr, checkFunctionOr, checkOptions, checkSignalOr } from './checks.js';

/** The key of an option of long work that its users do not have. */
export const PAUSE = Symbol('pause');

export interface PacedWorkOptions extends LongWorkOptions {
  /** Called after each cluster; the work goes on when it resolves, and ends with what it throws. */
  readonly [PAUSE]?: Pause;
}

export type PacedCopyOptions = CopyOptions & PacedWorkOptions;

export type LongWork = 'inflate' | 'decouple' | 'copy';

/** Throws EINVAL for options that cannot be. */
export function checkLongWork(doing: LongWork, options: PacedCopyOptions | undefined): PacedCopyOptions {
  const known = ['signal', 'onProgress', ...(doing === 'copy' ? (['overwrite'] as const) : [])] as const;
  const checked = checkOptions(`options of ${doing}`, options, known);
  checkSignalOr(checked.signal);
  checkFunctionOr('onProgress', checked.onProgress);
  checkBooleanOr('overwrite', checked.overwrite, false);
  return checked;
}
