/**
 * In whichever way a process ends, its acknowledged writes are there, with the default durability and without a flush.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Blobstore, type BlockDevice, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { createStore, openStore } from '@blobyard/workers';
import { afterAll, expect, test } from 'vitest';
import { copyMedium } from '../faults/copy-medium.js';
import { CLUSTER, CLUSTERS, COPIED, type End, type Mode, valueIn } from './ending-child.js';

const CHILD = fileURLToPath(new URL('../../dist/threads/ending-child.js', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-endings-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MODES: readonly Mode[] = ['inline', 'pool', 'attached', 'attached beside pool'];
const ENDS: readonly End[] = ['kill', 'exit', 'exception', 'nothing more to do'];

test.each(MODES.flatMap((mode) => ENDS.map((end) => [mode, end] as const)))(
  '%s: %s',
  { timeout: 60_000 },
  async (mode, end) => {
    const file = path.join(folder, `${mode} ${end}.img`);
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, [CHILD, file, mode, end], { timeout: 50_000 }, (_, stdout) => resolve(stdout));
    });
    expect(output).toBe('acknowledged\n');
    const store = await openStore({ device: { kind: 'file', path: file } });
    const blob = await store.open({ name: 'a' });
    const before = await store.open({ name: 'before' });
    for (let at = 0; at < CLUSTERS; at++) {
      expect(
        (await blob.read(at * CLUSTER, 4096)).every((byte) => byte === valueIn(at)),
        `cluster ${at}`,
      ).toBe(true);
      expect((await before.read(at * CLUSTER, 1))[0]).toBe(at < COPIED ? 50 : 0);
    }
    await blob.close();
    await before.close();
    await store.close();
  },
);

/** A device that does not name the owner of its cache. `onFlush` is called at each flush. */
function unknowingDevice(medium: SparseMemoryDevice, onFlush: () => void): BlockDevice {
  const { blockLengthBytes, blockCount } = medium;
  return {
    blockLengthBytes,
    blockCount,
    synchronous: true,
    canCopy: false,
    openChannel() {
      const channel = medium.openChannel();
      return Object.assign(channel, {
        flush() {
          onFlush();
        },
      });
    },
    close: () => medium.close(),
  };
}

test('a store on a device that does not name its cache owner is synced at intervals while it has changes', async () => {
  const medium = new SparseMemoryDevice({ sizeBytes: 2 ** 22 });
  let flushes = 0;
  let onFlush: (() => void) | undefined;
  const device = unknowingDevice(medium, () => {
    flushes++;
    onFlush?.();
  });
  const store = await createStore({ device, clusterSizeBytes: 4096, mdPageCount: 64, syncIntervalMs: 20 });
  const blob = await store.create({ sizeBytes: 16_384, thin: true });
  const isThere = () => {
    const found = runSync(Blobstore.load(copyMedium(medium), { clusterBytes: 4096 }));
    return runSync(found.openBlob(blob.id)).map.allocatedCount === 1;
  };
  await blob.write(new Uint8Array(4096).fill(5), 4096);
  expect(isThere()).toBe(false); // there is no insertion log for the write
  while (!isThere()) {
    await new Promise<void>((resolve) => {
      onFlush = resolve;
    });
  }
  await new Promise((resolve) => setImmediate(resolve)); // the sync has ended after this turn
  const atRest = flushes;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(flushes).toBe(atRest); // no sync without changes
  await blob.close();
  await store.close();
});

test('a store on a device whose cache ends with the process is not synced at intervals', async () => {
  const before = process.listenerCount('beforeExit');
  const device = { kind: 'memory', sizeBytes: 2 ** 22 } as const;
  const store = await createStore({ device, clusterSizeBytes: 4096, mdPageCount: 64, syncIntervalMs: 1 });
  expect(process.listenerCount('beforeExit')).toBe(before);
  await store.close();
});

test.each([-1, 1.5, Number.NaN, 2 ** 31, '5'])('syncIntervalMs: %o is refused', async (syncIntervalMs) => {
  const device = { kind: 'memory', sizeBytes: 2 ** 22 } as const;
  const options = { device, syncIntervalMs: syncIntervalMs as number };
  await expect(createStore(options)).rejects.toMatchObject({ code: 'EINVAL' });
});
