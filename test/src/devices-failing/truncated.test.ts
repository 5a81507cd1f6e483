/**
 * A device that becomes smaller: a file that is truncated under an open store or between two openings, and a memory
 * device that is resized. Only the data that was cut off is lost, and no operation hangs.
 */

import { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Blob, MemoryDevice, type Store } from 'blobyard';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failure } from '../io/failure.js';
import { CLUSTER_BYTES, expectBytes, MODES, newStore, patterned, reopened, syncedBlob } from './support.js';

const CLUSTERS = 8;
const DEVICE_BYTES = 8 * 1024 * 1024;

function newFile(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-cut-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'store');
}

/** Makes a blob at the beginning of the device and one at its end. A thick blob takes the space between them. */
async function filled(store: Store): Promise<{ first: Blob; last: Blob }> {
  const first = await syncedBlob(store, 'first', 1, CLUSTERS);
  const { freeBytes } = await store.stats();
  const between = await store.create({ name: 'between', sizeBytes: freeBytes - (CLUSTERS + 1) * CLUSTER_BYTES });
  await between.close();
  return { first, last: await syncedBlob(store, 'last', 2, CLUSTERS) };
}

describe.each(MODES)('a file that is truncated, %s', (_, threads) => {
  test('under an open store: access to the cut-off part and syncs fail with EIO; all else is there when the length is restored', async () => {
    const file = newFile();
    const store = await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, threads);
    const { first, last } = await filled(store);
    await first.xattrs.set('x', 'y');
    truncateSync(file, DEVICE_BYTES / 2);

    const error = await failure('EIO', () => last.read(0, CLUSTER_BYTES));
    expect(error.message).toMatch(
      /store reached the end of the file after 0 bytes: it was truncated while it was open/,
    );
    await failure('EIO', () => last.write(new Uint8Array(10), 5));
    await expectBytes(first, 1);
    await first.write(patterned(3, CLUSTERS * CLUSTER_BYTES), 0);
    await expectBytes(first, 3);
    const unsafe = await failure('EIO', () => first.flush());
    expect(unsafe.message).toMatch(/truncated while it was open, from 8388608 bytes to 4194304/);
    await failure('EIO', () => first.snapshot({ name: 'snapshot' }));
    await failure('EIO', () => store.close());
    expect(statSync(file).size).toBe(DEVICE_BYTES / 2);

    const cut = await failure('EILSEQ', () => reopened({ kind: 'file', path: file }, threads));
    expect(cut.message).toMatch(/the store has 8388608 bytes, its device only 4194304: the device was cut/);
    truncateSync(file, DEVICE_BYTES);
    const again = await reopened({ kind: 'file', path: file }, threads);
    const found = await again.open({ name: 'first' });
    await expectBytes(found, 3);
    expect(await found.xattrs.getText('x')).toBe('y');
    const lost = await again.open({ name: 'last' });
    await lost.write(patterned(4, lost.sizeBytes), 0);
    await expectBytes(lost, 4);
  });

  test('and gets its length back while the store is open: all operations work again', async () => {
    const file = newFile();
    const store = await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, threads);
    const { first, last } = await filled(store);
    truncateSync(file, DEVICE_BYTES / 2);
    await failure('EIO', () => first.flush());
    truncateSync(file, DEVICE_BYTES);
    await first.snapshot({ name: 'snapshot' });
    await last.write(patterned(4, last.sizeBytes), 0);
    await store.close();
    const again = await reopened({ kind: 'file', path: file }, threads);
    await expectBytes(await again.open({ name: 'snapshot' }), 1);
    await expectBytes(await again.open({ name: 'last' }), 4);
  });

  test('to nothing: every operation ends with a BlobstoreError, and so does closing', async () => {
    const file = newFile();
    const store = await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, threads);
    const { first } = await filled(store);
    truncateSync(file, 0);
    await failure('EIO', () => first.read(0, CLUSTER_BYTES));
    await failure('EIO', () => store.open({ name: 'between' }));
    await failure('EIO', () => store.dump());
    await failure('EIO', () => store.setSuperBlob(first.id));
    await failure('EIO', () => store.close());
    const error = await failure('ENOSPC', () => reopened({ kind: 'file', path: file }, threads));
    expect(error.message).toMatch(/the device has 0 bytes/);
  });

  test('between two openings: the store is refused, and opens with all data when the bytes are back', async () => {
    const file = newFile();
    const store = await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, threads);
    await filled(store);
    await store.close();
    // The end of the device has free clusters, so no data of a blob is lost.
    truncateSync(file, DEVICE_BYTES - CLUSTER_BYTES);
    const cut = await failure('EILSEQ', () => reopened({ kind: 'file', path: file }, threads));
    expect(cut.message).toMatch(/the device was cut, or this is only a part of it/);
    truncateSync(file, DEVICE_BYTES);
    const again = await reopened({ kind: 'file', path: file }, threads);
    await expectBytes(await again.open({ name: 'first' }), 1);
    await expectBytes(await again.open({ name: 'last' }), 2);
  });

  test('makes a grow fail with the message that the device is smaller, and the store goes on', async () => {
    const file = newFile();
    const store = await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, threads);
    const { first, last } = await filled(store);
    truncateSync(file, DEVICE_BYTES / 2);
    const error = await failure('EILSEQ', () => store.grow());
    expect(error.message).toMatch(/the device was cut/);
    await expectBytes(first, 1);
    await failure('EIO', () => last.read(0, 4096));
    truncateSync(file, DEVICE_BYTES);
    await store.grow();
    await last.write(patterned(3, last.sizeBytes), 0);
    await expectBytes(last, 3);
    await expectBytes(first, 1);
    await store.close();
  });
});

describe.each(MODES)('a memory device that is made smaller under its store, %s,', (_, threads) => {
  test('fails with EIO only beyond its end, and works again when it has its former size', async () => {
    const device = MemoryDevice.create({ sizeBytes: DEVICE_BYTES });
    const store = await newStore(device.spec, threads);
    const { first, last } = await filled(store);
    device.resize(device.blockCount / 2);
    const error = await failure('EIO', () => last.read(0, CLUSTER_BYTES));
    expect(error.message).toMatch(/of a device that has 1024/);
    await failure('EIO', () => last.write(patterned(3, CLUSTER_BYTES), 0));
    await failure('EILSEQ', () => store.grow());
    await expectBytes(first, 1);
    await first.write(patterned(4, first.sizeBytes), 0);
    await first.flush();
    device.resize(device.blockCount * 2);
    await last.write(patterned(3, last.sizeBytes), 0);
    await store.close();

    device.resize(device.blockCount / 2);
    await failure('EILSEQ', () => reopened(device.spec, threads));
    device.resize(device.blockCount * 2);
    await expectBytes(await (await reopened(device.spec, threads)).open({ name: 'first' }), 4);
  });
});
