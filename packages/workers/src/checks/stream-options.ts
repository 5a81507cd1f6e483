/** Checks the options of streams. */

import type { ReadStreamOptions, WriteStreamOptions } from '../api/blob.js';
import { checkBooleanOr, checkIntegerOr, checkOptions, checkSignalOr } from './checks.js';

const HIGH_WATER_MARK_DEFAULT = 2 << 20;
const HIGH_WATER_MARK_MAX = 1 << 30;

/** Returns the checked options of a read stream; here `end` is exclusive. Throws EINVAL if they are invalid. */
export function checkReadStream(options: ReadStreamOptions | undefined, sizeBytes: number) {
  const given = checkOptions('options of a read stream', options, ['start', 'end', 'highWaterMark', 'signal']);
  const start = checkIntegerOr('start', given.start, 0, 0, sizeBytes);
  const last = checkIntegerOr('end, the last byte,', given.end, sizeBytes - 1, start - 1, sizeBytes - 1);
  return {
    start,
    end: last + 1,
    highWaterMark: checkHighWaterMark(given.highWaterMark),
    signal: checkSignalOr(given.signal),
  };
}

/** Returns the checked options of a write stream. Throws EINVAL if they are invalid. */
export function checkWriteStream(options: WriteStreamOptions | undefined, sizeBytes: number) {
  const given = checkOptions('options of a write stream', options, [
    'start',
    'highWaterMark',
    'grow',
    'flush',
    'signal',
  ]);
  return {
    start: checkIntegerOr('start', given.start, 0, 0, sizeBytes),
    highWaterMark: checkHighWaterMark(given.highWaterMark),
    grow: checkBooleanOr('grow', given.grow, false),
    flush: checkBooleanOr('flush', given.flush, false),
    signal: checkSignalOr(given.signal),
  };
}

function checkHighWaterMark(value: unknown): number {
  return checkIntegerOr('highWaterMark', value, HIGH_WATER_MARK_DEFAULT, 1, HIGH_WATER_MARK_MAX);
}
