/** The benchmarks of inline reads and writes, with their targets. */

import type { Benchmark } from '../benchmark.js';
import { KIB, MIB } from '../fixtures.js';
import { transferBenchmark } from './transfer.js';

const MEMORY_4K = { transferBytes: 4 * KIB, isRandom: true, medium: 'memory' } as const;
const FILE_4K = { transferBytes: 4 * KIB, isRandom: true, medium: 'file', buffer: 'plain' } as const;
const MEMORY_1M = { transferBytes: MIB, isRandom: false, medium: 'memory', buffer: 'arena' } as const;
const FILE_1M = { transferBytes: MIB, isRandom: false, medium: 'file', buffer: 'plain' } as const;

const IN_SHARED_MEMORY = { ratioMin: 1.1 };
const ON_A_FILE = { ratioMin: 0.9 };
const MAPPED = { ratioMin: 2 };
const SEQUENTIAL = { ratioMin: 0.95 };

export const TRANSFERS: readonly Benchmark[] = [
  transferBenchmark({
    name: 'read-4k-memory',
    direction: 'read',
    buffer: 'arena',
    target: IN_SHARED_MEMORY,
    ...MEMORY_4K,
  }),
  transferBenchmark({ name: 'read-4k-memory-plain', direction: 'read', buffer: 'plain', ...MEMORY_4K }),
  transferBenchmark({
    name: 'write-4k-memory',
    direction: 'write',
    buffer: 'arena',
    ...MEMORY_4K,
  }),
  transferBenchmark({ name: 'write-4k-memory-plain', direction: 'write', buffer: 'plain', ...MEMORY_4K }),
  transferBenchmark({ name: 'read-4k-file', direction: 'read', target: ON_A_FILE, ...FILE_4K }),
  transferBenchmark({ name: 'read-4k-file-mmap', direction: 'read', target: MAPPED, ...FILE_4K, medium: 'mapped' }),
  transferBenchmark({ name: 'write-4k-file', direction: 'write', target: ON_A_FILE, ...FILE_4K }),
  transferBenchmark({ name: 'seq-read-1m-memory', direction: 'read', target: SEQUENTIAL, ...MEMORY_1M }),
  transferBenchmark({ name: 'seq-write-1m-memory', direction: 'write', target: SEQUENTIAL, ...MEMORY_1M }),
  transferBenchmark({ name: 'seq-read-1m-file', direction: 'read', target: SEQUENTIAL, ...FILE_1M }),
  transferBenchmark({ name: 'seq-write-1m-file', direction: 'write', target: SEQUENTIAL, ...FILE_1M }),
];
