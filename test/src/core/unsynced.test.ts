/** A flush of the store visits only the blobs with changes that are not on disk. */

import { type Blob, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { CONFIGURATIONS, PER_CLUSTER, Yard } from '../peer/fixture.js';

const POWER_LOSS = CONFIGURATIONS[1];

function newYard(): { yard: Yard; blobs: Blob[]; unsynced: () => unknown[] } {
  const yard = new Yard(POWER_LOSS);
  const blobs = Array.from({ length: 20 }, () => yard.make({ clusterCount: 3, thin: true }));
  const unsynced = () => {
    yard.store.verify();
    return yard.store.unsyncedBlobIds();
  };
  return { yard, blobs, unsynced };
}

test('open blobs without a change are not unsynced', () => {
  const { yard, unsynced } = newYard();
  expect([unsynced(), yard.store.isSynced]).toEqual([[], true]);
  yard.recorder.take();
  runSync(yard.store.flush());
  expect(yard.recorder.take().map(({ kind }) => kind)).toEqual(['flush']);
  yard.finish();
});

test('a blob is unsynced after first writes, new xattrs, resizes and freed clusters, until the flush', () => {
  const { yard, blobs, unsynced } = newYard();
  const changes = [
    () => yard.write(blobs[3], 0, PER_CLUSTER, 1),
    () => yard.store.setXattr(blobs[3], 'name', Uint8Array.of(1)),
    () => runSync(yard.store.resizeBlob(blobs[3], 2)),
    () => yard.channel.unmapSync(blobs[3], 0, PER_CLUSTER),
  ];
  for (const change of changes) {
    change();
    expect([unsynced(), yard.store.isSynced]).toEqual([[blobs[3].id], false]);
    runSync(yard.store.flush());
    expect(unsynced()).toEqual([]);
  }
  yard.write(blobs[5], 0, PER_CLUSTER, 1);
  runSync(yard.store.syncBlob(blobs[5]));
  yard.write(blobs[5], 0, PER_CLUSTER, 2); // an overwrite changes no metadata
  expect(unsynced()).toEqual([]);
  yard.finish();
});

test('a blob that becomes read-only at the next sync is unsynced until then', () => {
  const { yard, blobs, unsynced } = newYard();
  yard.store.setReadOnly(blobs[2]);
  expect(unsynced()).toEqual([blobs[2].id]);
  runSync(yard.store.flush());
  expect([unsynced(), blobs[2].dataRo]).toEqual([[], true]);
  yard.finish();
});

test('a blob that could not be written stays unsynced, also when it lingers', () => {
  const { yard, blobs, unsynced } = newYard();
  for (const blob of [blobs[0], blobs[1]]) yard.write(blob, 0, PER_CLUSTER, 1);
  yard.device.failAt(1, { kind: 'write' });
  expect(() => runSync(yard.store.syncBlob(blobs[0]))).toThrow(expect.objectContaining({ code: 'EIO' }));
  yard.device.failAt(1, { kind: 'write' });
  const extra = runSync(yard.store.openBlob(blobs[1].id));
  runSync(yard.store.dropBlob(extra));
  expect(unsynced()).toEqual([blobs[0].id, blobs[1].id]);
  runSync(yard.store.flush());
  expect(unsynced()).toEqual([]);
  yard.finish();
});

test('closed and deleted blobs are not unsynced', () => {
  const { yard, unsynced } = newYard();
  const blob = yard.make({ clusterCount: 3, thin: true });
  yard.write(blob, 0, PER_CLUSTER, 1);
  yard.close(blob);
  expect(unsynced()).toEqual([]);
  yard.delete(blob.id);
  expect(unsynced()).toEqual([]);
  yard.finish();
});
