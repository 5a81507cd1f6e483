/**
 * Checks the options of long operations. Adds an internal option, by which an operation waits for a thread that follows
 * its progress.
 */

import type { Pause } from '@blobyard/core';
import type { CopyOptions, LongWorkOptions } from '../api/long-work.js';
import { checkBooleanOr, checkFunctionOr, checkOptions, checkSignalOr } from './checks.js';

/** The key of an internal option of long operations. */
export const PAUSE = Symbol('pause');

export interface PacedWorkOptions extends LongWorkOptions {
  /** Called after each cluster. The operation continues when it resolves, and fails with its error if it rejects. */
  readonly [PAUSE]?: Pause;
}

export type PacedCopyOptions = CopyOptions & PacedWorkOptions;

export type LongWork = 'inflate' | 'decouple' | 'copy';

/** Returns the checked options of a long operation. Throws EINVAL if they are invalid. */
export function checkLongWork(doing: LongWork, options: PacedCopyOptions | undefined): PacedCopyOptions {
  const known = ['signal', 'onProgress', ...(doing === 'copy' ? (['own', 'overwrite'] as const) : [])] as const;
  const checked = checkOptions(`options of ${doing}`, options, known);
  checkSignalOr(checked.signal);
  checkFunctionOr('onProgress', checked.onProgress);
  checkBooleanOr('own', checked.own, false);
  checkBooleanOr('overwrite', checked.overwrite, false);
  return checked;
}
