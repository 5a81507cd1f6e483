/** Reads, writes and flushes that fail with EIO, on the caller's thread and on the store's: synced data stays. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Blob } from 'blobyard';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failure } from '../io/failure.js';
import { FAILING, FailingFile } from './failing-device.js';
import { CLUSTER_BYTES, expectBytes, MODES, newStore, patterned, reopened, syncedBlob } from './support.js';

const CLUSTERS = 4;
const DEVICE_BYTES = 8 * 1024 * 1024;

/** A store on a file that can be told to fail, with a synced blob and a clone of its snapshot. */
async function failingStore(threads: number) {
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-failing-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'store');
  await (await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, 0)).close();
  const device = new FailingFile(file);
  onTestFinished(() => device.fail(FAILING.NOTHING));
  const store = await reopened(device.spec, threads);
  const kept = await syncedBlob(store, 'kept', 1, CLUSTERS);
  const snapshot = await (await syncedBlob(store, 'original', 2, CLUSTERS)).snapshot({ name: 'snapshot' });
  const clone = await snapshot.clone({ name: 'clone' });
  await store.flush();
  return { store, device, file, kept, snapshot, clone };
}

describe.each(MODES)('%s', (_, threads) => {
  test('while reads fail, all operations that need a read fail with EIO, and change nothing', async () => {
    const { store, device, file, kept, snapshot, clone } = await failingStore(threads);
    device.fail(FAILING.READS);
    const size = kept.sizeBytes;
    await failure('EIO', () => kept.read(0, size));
    await failure('EIO', () => kept.readv(0, [new Uint8Array(10), new Uint8Array(10)]));
    await failure('EIO', () => kept.write(new Uint8Array(10), 5)); // the rest of the io unit has to be read
    await failure('EIO', () => clone.write(new Uint8Array(4096), 0)); // the cluster has to be copied
    await failure('EIO', () => clone.inflate());
    await failure('EIO', () => clone.decouple());
    await failure('EIO', () => pipeOut(kept));
    await kept.write(patterned(3, size), 0); // needs no read
    device.fail(FAILING.NOTHING);
    await expectBytes(kept, 3);
    await expectBytes(clone, 2);
    await clone.inflate();
    await store.close();

    const again = await reopened({ kind: 'file', path: file }, threads);
    await expectBytes(await again.open({ name: 'kept' }), 3);
    await expectBytes(await again.open({ name: 'clone' }), 2);
    await expectBytes(await again.open({ name: snapshot.name as string }), 2);
  });

  test('opening fails with EIO while nothing can be read, and works afterwards', async () => {
    const { store, device, file } = await failingStore(threads);
    await store.close();
    device.fail(FAILING.READS);
    await failure('EIO', () => reopened(device.spec, threads));
    device.fail(FAILING.NOTHING);
    await expectBytes(await (await reopened({ kind: 'file', path: file }, threads)).open({ name: 'kept' }), 1);
  });

  test('while writes fail, they fail with EIO; metadata can be changed again when they work', async () => {
    const { store, device, file, kept, clone } = await failingStore(threads);
    device.fail(FAILING.WRITES);
    await failure('EIO', () => kept.write(patterned(3, CLUSTER_BYTES), 0));
    await failure('EIO', () => kept.writeZeroes(0, CLUSTER_BYTES));
    await failure('EIO', () => kept.xattrs.set('x', 'lost'));
    await failure('EIO', () => kept.snapshot({ name: 'never' }));
    await failure('EIO', () => kept.resize(2 * CLUSTERS * CLUSTER_BYTES));
    await failure('EIO', () => store.create({ name: 'new' }));
    await clone.close();
    await failure('EIO', () => store.delete({ name: 'clone' }));
    await expectBeginning(kept, 1);
    device.fail(FAILING.NOTHING);
    await store.delete({ name: 'clone' });
    await kept.xattrs.set('x', 'kept');
    await store.create({ name: 'new' });
    await store.close();

    const again = await reopened({ kind: 'file', path: file }, threads);
    const found = await again.open({ name: 'kept' });
    await expectBeginning(found, 1);
    expect(await found.xattrs.getText('x')).toBe('kept');
    expect((await again.blobs()).map(({ name }) => name).sort()).toEqual(['kept', 'new', 'original', 'snapshot']);
  });

  test('a flush that fails rejects, and data that was synced before stays', async () => {
    const { store, device, file, kept } = await failingStore(threads);
    device.fail(FAILING.FLUSHES);
    await kept.write(patterned(3, CLUSTER_BYTES), 0);
    await failure('EIO', () => kept.flush());
    await failure('EIO', () => store.flush());
    device.fail(FAILING.NOTHING);
    await store.close();
    const again = await reopened({ kind: 'file', path: file }, threads);
    const found = await (await again.open({ name: 'kept' })).read(CLUSTER_BYTES, CLUSTER_BYTES);
    expect(Buffer.compare(found, patterned(1, 2 * CLUSTER_BYTES).subarray(CLUSTER_BYTES))).toBe(0);
  });

  test('a store can be closed while all requests fail, and the next opening recovers it', async () => {
    const { store, device, file, kept } = await failingStore(threads);
    await kept.write(patterned(3, kept.sizeBytes), 0);
    await kept.flush();
    await kept.xattrs.set('x', 'y');
    device.fail(FAILING.ALL);
    await failure('EIO', () => kept.xattrs.set('x', 'z'));
    await failure('EIO', () => store.close());
    device.fail(FAILING.NOTHING);
    const again = await reopened({ kind: 'file', path: file }, threads);
    const found = await again.open({ name: 'kept' });
    await expectBytes(found, 3);
    expect(['y', 'z']).toContain(await found.xattrs.getText('x'));
  });
});

/** Expects the data of a token up to the blob's end. The blob may be longer, by a resize whose sync failed. */
async function expectBeginning(blob: Blob, token: number): Promise<void> {
  const bytes = await blob.read(0, CLUSTERS * CLUSTER_BYTES);
  expect(Buffer.compare(bytes, patterned(token, bytes.length))).toBe(0);
}

async function pipeOut(blob: Blob): Promise<void> {
  for await (const _ of blob.createReadStream());
}
