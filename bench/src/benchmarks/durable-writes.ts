/**
 * Durable writes to space that is allocated: 64 requests at once, each of which writes 4 KiB to a blob in a file and
 * then flushes the blob. The baseline writes the same number of blocks to a file of its own, and then calls fdatasync
 * once for all of them.
 */

import fs from 'node:fs/promises';
import { type Blob, createStore } from '@blobyard/workers';
import type { Benchmark, Scale, Workload } from '../benchmark.js';
import { KIB, MIB, sized, temporaryFile } from '../fixtures.js';

const REQUESTS = 64;
const REQUESTS_SMOKE = 8;
const WRITE_BYTES = 4 * KIB;
const BLOBS_MANY = 16;

const BASELINE = 'the same writes by FileHandle.write, and one fdatasync for all';

export const DURABLE_WRITES: readonly Benchmark[] = [
  {
    name: 'durable-64-inline',
    operation: 'write of 4 KiB and flush, 64 at once, of one blob on a file; without threads',
    baseline: BASELINE,
    isAsync: true,
    prepare: (scale) => prepare(scale, 0, 1),
  },
  {
    name: 'durable-64-inline-16-blobs',
    operation: 'as durable-64-inline, of 16 blobs',
    baseline: BASELINE,
    isAsync: true,
    prepare: (scale) => prepare(scale, 0, BLOBS_MANY),
  },
  {
    name: 'durable-64-pool',
    operation: 'as durable-64-inline, with one I/O worker',
    baseline: BASELINE,
    isAsync: true,
    prepare: (scale) => prepare(scale, 1, 1),
  },
];

async function prepare(scale: Scale, threads: number, blobCount: number): Promise<Workload> {
  const requests = sized(scale, REQUESTS, REQUESTS_SMOKE);
  const [file, plain] = [temporaryFile(), temporaryFile()];
  const sizeBytes = 64 * MIB;
  const device = { kind: 'file', path: file.path, create: true, sizeBytes } as const;
  const store = await createStore({ device, clusterSizeBytes: 64 * KIB, threads });
  const blobBytes = requests * WRITE_BYTES;
  const blobs: Blob[] = [];
  for (let made = 0; made < blobCount; made++) {
    const blob = await store.create({ sizeBytes: blobBytes });
    await blob.write(new Uint8Array(blobBytes).fill(1), 0);
    blobs.push(blob);
  }
  await store.flush();
  const handle = await fs.open(plain.path, 'w+');
  await handle.write(new Uint8Array(blobBytes).fill(1), 0, blobBytes, 0);
  await handle.datasync();
  const data = store.allocate(WRITE_BYTES).fill(2);

  const writeDurably = async (at: number) => {
    const blob = blobs[at % blobCount];
    await blob.write(data, at * WRITE_BYTES);
    await blob.flush();
  };
  const each = Array.from({ length: requests }, (_, at) => at);
  return {
    operationsPerCall: requests,
    subject: {
      run: async () => {
        await Promise.all(each.map(writeDurably));
        return requests;
      },
    },
    baseline: {
      run: async () => {
        await Promise.all(each.map((at) => handle.write(data, 0, WRITE_BYTES, at * WRITE_BYTES)));
        await handle.datasync();
        return requests;
      },
    },
    sidesAgree: true,
    dispose: async () => {
      for (const blob of blobs) await blob.close();
      await store.close();
      await handle.close();
      file.dispose();
      plain.dispose();
    },
  };
}
