/** Every benchmark, in the order in which they run. */

import type { Benchmark } from './benchmark.js';
import { BIT_POOL } from './benchmarks/bit-pool.js';
import { BLOB_SIZES } from './benchmarks/blob-sizes.js';
import { BURSTS } from './benchmarks/bursts.js';
import { DEVICE_SIZES } from './benchmarks/device-sizes.js';
import { DURABLE_WRITES } from './benchmarks/durable-writes.js';
import { FILE_BYTES } from './benchmarks/file-bytes.js';
import { FIRST_WRITES } from './benchmarks/first-writes.js';
import { FORMAT } from './benchmarks/format.js';
import { LOADS } from './benchmarks/load.js';
import { LOCKS } from './benchmarks/locks.js';
import { LOOP_DELAYS } from './benchmarks/loop-delay.js';
import { MAILBOXES } from './benchmarks/mailboxes.js';
import { MANY } from './benchmarks/many.js';
import { METADATA_CALLS } from './benchmarks/metadata-calls.js';
import { OPENING } from './benchmarks/open-threads.js';
import { OPERATIONS } from './benchmarks/operations.js';
import { RINGS } from './benchmarks/rings.js';
import { SNAPSHOT_LINES } from './benchmarks/snapshot-lines.js';
import { SNAPSHOT_PAUSES } from './benchmarks/snapshot-pause.js';
import { THREAD_FIRST_WRITES } from './benchmarks/thread-first-writes.js';
import { THREAD_TRANSFERS } from './benchmarks/thread-transfers.js';
import { TRANSFERS } from './benchmarks/transfers.js';

export const BENCHMARKS: readonly Benchmark[] = [
  ...TRANSFERS,
  ...FILE_BYTES,
  ...FIRST_WRITES,
  ...DURABLE_WRITES,
  ...FORMAT,
  BIT_POOL,
  ...OPERATIONS,
  ...LOADS,
  ...DEVICE_SIZES,
  ...BLOB_SIZES,
  ...SNAPSHOT_LINES,
  ...MANY,
  ...THREAD_TRANSFERS,
  ...BURSTS,
  ...THREAD_FIRST_WRITES,
  ...LOOP_DELAYS,
  ...SNAPSHOT_PAUSES,
  ...RINGS,
  ...LOCKS,
  ...MAILBOXES,
  ...METADATA_CALLS,
  ...OPENING,
];
