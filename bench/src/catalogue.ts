/** Every benchmark, in the order in which they run. */

import type { Benchmark } from './benchmark.js';
import { BIT_POOL } from './benchmarks/bit-pool.js';
import { FIRST_WRITES } from './benchmarks/first-writes.js';
import { FORMAT } from './benchmarks/format.js';
import { LOADS } from './benchmarks/load.js';
import { OPERATIONS } from './benchmarks/operations.js';
import { THREAD_FIRST_WRITES } from './benchmarks/thread-first-writes.js';
import { THREAD_TRANSFERS } from './benchmarks/thread-transfers.js';
import { TRANSFERS } from './benchmarks/transfers.js';

export const BENCHMARKS: readonly Benchmark[] = [
  ...TRANSFERS,
  ...FIRST_WRITES,
  ...FORMAT,
  BIT_POOL,
  ...OPERATIONS,
  ...LOADS,
  ...THREAD_TRANSFERS,
  ...THREAD_FIRST_WRITES,
];
