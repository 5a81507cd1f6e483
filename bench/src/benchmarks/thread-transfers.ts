/** The benchmarks of reads and writes by several threads, with their targets. */

import type { Benchmark } from '../benchmark.js';
import { KIB, MIB } from '../fixtures.js';
import { attachedTransfer } from './attached-transfer.js';
import { poolTransfer } from './pool-transfer.js';

const RANDOM_4K = { transferBytes: 4 * KIB, isRandom: true } as const;
const READ_4K = { mix: 'read', ...RANDOM_4K } as const;
const SEQUENTIAL_64K = { transferBytes: 64 * KIB, isRandom: false } as const;
const SEQUENTIAL_1M = { transferBytes: MIB, isRandom: false } as const;

const ALONE = { threads: 1, baseline: 'bare' } as const;
/** The parameters of most benchmarks through I/O workers. */
const POOL = { threads: 1, inFlight: 32, buffer: 'shared' } as const;
const POOL_LARGE = { ...POOL, inFlight: 4 } as const;
const MORE_THREADS = [2, 4, 8];

const ATTACHED: readonly Benchmark[] = [
  attachedTransfer({ name: 'attached-read-4k-file', medium: 'file', ...READ_4K, ...ALONE, target: { ratioMin: 0.9 } }),
  attachedTransfer({ name: 'attached-read-4k-memory', medium: 'memory', ...READ_4K, ...ALONE }),
  attachedTransfer({
    name: 'attached-read-4k-file-mmap',
    medium: 'mapped',
    ...READ_4K,
    ...ALONE,
    target: { ratioMin: 2 },
  }),
  attachedTransfer({ name: 'attached-mixed-4k-file', medium: 'file', mix: 'mixed', ...RANDOM_4K, ...ALONE }),
  attachedTransfer({ name: 'attached-seq-read-64k-file', medium: 'file', mix: 'read', ...SEQUENTIAL_64K, ...ALONE }),
  attachedTransfer({ name: 'attached-seq-read-1m-file', medium: 'file', mix: 'read', ...SEQUENTIAL_1M, ...ALONE }),
  attachedTransfer({ name: 'attached-seq-write-1m-file', medium: 'file', mix: 'write', ...SEQUENTIAL_1M, ...ALONE }),
  attachedTransfer({
    name: 'attached-seq-read-64k-memory',
    medium: 'memory',
    mix: 'read',
    ...SEQUENTIAL_64K,
    ...ALONE,
  }),
  attachedTransfer({ name: 'attached-seq-read-1m-memory', medium: 'memory', mix: 'read', ...SEQUENTIAL_1M, ...ALONE }),
  attachedTransfer({
    name: 'attached-seq-write-1m-memory',
    medium: 'memory',
    mix: 'write',
    ...SEQUENTIAL_1M,
    ...ALONE,
  }),
];

const THROUGH_POOL: readonly Benchmark[] = [
  poolTransfer({
    name: 'pool-read-4k-file',
    medium: 'file',
    baseline: 'FileHandle',
    target: { ratioMin: 5 },
    ...READ_4K,
    ...POOL,
  }),
  poolTransfer({
    name: 'pool-read-4k-file-callbacks',
    medium: 'file',
    baseline: 'callbacks',
    target: { ratioMin: 1.3 },
    ...READ_4K,
    ...POOL,
  }),
  poolTransfer({
    name: 'pool-read-4k-file-callbacks-128',
    medium: 'file',
    baseline: 'callbacks',
    target: { ratioMin: 1.3 },
    ...READ_4K,
    ...POOL,
    inFlight: 128,
  }),
  poolTransfer({
    name: 'pool-read-4k-file-plain',
    medium: 'file',
    baseline: 'FileHandle',
    ...READ_4K,
    ...POOL,
    buffer: 'plain',
  }),
  poolTransfer({
    name: 'pool-mixed-4k-file',
    medium: 'file',
    mix: 'mixed',
    baseline: 'FileHandle',
    ...RANDOM_4K,
    ...POOL,
  }),
  poolTransfer({
    name: 'pool-read-4k-memory-128',
    medium: 'memory',
    baseline: undefined,
    target: { perSecondMin: 700_000 },
    ...READ_4K,
    ...POOL,
    inFlight: 128,
  }),
  poolTransfer({
    name: 'pool-seq-read-64k-file',
    medium: 'file',
    mix: 'read',
    baseline: 'FileHandle',
    ...SEQUENTIAL_64K,
    ...POOL_LARGE,
  }),
  poolTransfer({
    name: 'pool-seq-read-1m-file',
    medium: 'file',
    mix: 'read',
    baseline: 'FileHandle',
    ...SEQUENTIAL_1M,
    ...POOL_LARGE,
  }),
  poolTransfer({
    name: 'pool-seq-write-1m-file',
    medium: 'file',
    mix: 'write',
    baseline: 'FileHandle',
    ...SEQUENTIAL_1M,
    ...POOL_LARGE,
  }),
  poolTransfer({
    name: 'pool-seq-read-64k-memory',
    medium: 'memory',
    mix: 'read',
    baseline: 'Buffer.copy',
    ...SEQUENTIAL_64K,
    ...POOL_LARGE,
  }),
  poolTransfer({
    name: 'pool-seq-read-1m-memory',
    medium: 'memory',
    mix: 'read',
    baseline: 'Buffer.copy',
    ...SEQUENTIAL_1M,
    ...POOL_LARGE,
  }),
  poolTransfer({
    name: 'pool-seq-write-1m-memory',
    medium: 'memory',
    mix: 'write',
    baseline: 'Buffer.copy',
    ...SEQUENTIAL_1M,
    ...POOL_LARGE,
  }),
];

/**
 * Speed by number of threads. The baseline is one thread. At the point of one thread, subject and baseline are the
 * same, so that its ratio shows the noise.
 */
const CURVES: readonly Benchmark[] = [
  ...[1, ...MORE_THREADS].map((threads) =>
    attachedTransfer({
      name: `attached-${threads}-threads`,
      medium: 'file',
      ...READ_4K,
      threads,
      baseline: 'one thread',
      target: threads === 2 ? { ratioMin: 1.8 } : undefined,
      curvePoint: { curve: 'attached threads, 4 KiB reads, file', threads },
    }),
  ),
  ...[1, ...MORE_THREADS].map((threads) =>
    poolTransfer({
      name: `pool-${threads}-threads`,
      medium: 'file',
      ...READ_4K,
      ...POOL,
      threads,
      baseline: 'one thread',
      curvePoint: { curve: 'I/O workers, 4 KiB reads, file', threads },
    }),
  ),
];

export const THREAD_TRANSFERS: readonly Benchmark[] = [...ATTACHED, ...THROUGH_POOL, ...CURVES];
