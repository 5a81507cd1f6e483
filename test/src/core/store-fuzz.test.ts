/** The whole store against a naive model, with random operations. */

import fc from 'fast-check';
import { describe, test } from 'vitest';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../fuzz-runs.js';
import { type FuzzConfig, type FuzzOperation, fuzzOperations, StoreFuzz } from './store-fuzz.js';

const RUNS = 100;

/** A store with clusters of two pages, which is often full. */
const SMALL: FuzzConfig = {
  blockLengthBytes: 512,
  clusterBytes: 8192,
  clustersOnDevice: 64,
  mdPageCount: 64,
  durability: 'power-loss',
  useExtentTable: true,
  canCopy: true,
  asynchronous: false,
  sizes: [0, 1, 2, 3, 4, 5, 6, 8, 11],
  blobsMax: 8,
};
/** Blobs with several extent pages. */
const LONG: FuzzConfig = {
  ...SMALL,
  blockLengthBytes: 4096,
  clusterBytes: 4096,
  clustersOnDevice: 3000,
  mdPageCount: 200,
  sizes: [0, 1, 511, 512, 513, 700, 1024, 1025],
  blobsMax: 5,
};

const CONFIGS: [string, FuzzConfig, number][] = [
  ['power-loss, extent pages', SMALL, 60],
  ['process-crash, extent pages', { ...SMALL, durability: 'process-crash' }, 60],
  ['power-loss, runs in the chain', { ...SMALL, useExtentTable: false, canCopy: false }, 60],
  ['process-crash, runs in the chain', { ...SMALL, useExtentTable: false, durability: 'process-crash' }, 60],
  ['clusters of three pages, no copy by the device', { ...SMALL, clusterBytes: 12_288, canCopy: false }, 60],
  ['few metadata pages', { ...SMALL, mdPageCount: 16, clustersOnDevice: 48 }, 60],
  ['few blobs, long chains', { ...SMALL, blobsMax: 4, sizes: [2, 4, 6] }, 80],
  ['an asynchronous device', { ...SMALL, asynchronous: true }, 40],
  ['an asynchronous device, process-crash', { ...SMALL, asynchronous: true, durability: 'process-crash' }, 40],
  ['several extent pages', LONG, 30],
  ['several extent pages, process-crash', { ...LONG, durability: 'process-crash' }, 30],
];

describe('a store behaves as the model', () => {
  test.each(CONFIGS)('%s', { timeout: FUZZ_TIMEOUT_MS }, async (_, config, operationsMax) => {
    const play = (operations: FuzzOperation[]) => StoreFuzz.play(config, operations);
    await fc.assert(fc.asyncProperty(fuzzOperations(operationsMax), play), fuzzRuns(RUNS));
  });

  test('also with a blob without clusters that has changed from an extent table to runs', async () => {
    const of = (kind: FuzzOperation['kind'], at = 0, length = 0) => ({ kind, blob: 0, at, length });
    const emptied = [
      of('create', 1),
      of('setXattr', 0, 3),
      of('snapshot'),
      of('resize'),
      of('recover'),
      of('resize', 1),
    ];
    await StoreFuzz.play(SMALL, [...emptied, { ...of('delete'), blob: 1 }]);
  });
});
