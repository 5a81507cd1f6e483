/** The behaviour of handles that is special in pool mode. All else is tested in `test/src/api`. */

import { MemoryDevice } from 'blobyard';
import type { CustomDeviceSpec } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, MiB } from '../api/support.js';
import { listingDevice } from './listing-device.js';
import { createPooled } from './support.js';

async function pooled(device: MemoryDevice | CustomDeviceSpec = memory()) {
  const { store } = await createPooled({ device, clusterSizeBytes: CLUSTER });
  return { store, blob: await store.create({ sizeBytes: 8 * CLUSTER, name: 'first' }) };
}

function memory(): MemoryDevice {
  return MemoryDevice.create({ sizeBytes: 8 * MiB, blockLengthBytes: 512 });
}

describe('a handle in pool mode', () => {
  test('refuses access to the engine, and says where that is', async () => {
    const { store, blob } = await pooled();
    await expectCode(() => store.engine, 'ENOTSUP', /`threads: 0`.*attach/);
    await expectCode(() => blob.engine, 'ENOTSUP', /attach/);
  });

  test('shares the name of its blob with the others, and sees what they change', async () => {
    const { store, blob } = await pooled();
    const other = await store.open({ name: 'first' });
    await other.xattrs.set('name', 'second');
    expect(blob.name).toBe('second');
    await blob.xattrs.delete('name');
    expect(other.name).toBeUndefined();
    await other.resize(3 * CLUSTER);
    expect(blob.sizeBytes).toBe(3 * CLUSTER);
    const snapshot = await other.snapshot({ name: 'then' });
    expect([blob.parent, snapshot.parent, snapshot.isReadOnly]).toEqual([snapshot.id, undefined, true]);
    await other.setReadOnly();
    expect(blob.isReadOnly).toBe(true);
  });

  test('keeps its last state when it is closed, also when the blob is deleted and another one has its id', async () => {
    const { store, blob } = await pooled();
    const { id } = blob;
    await blob.close();
    expect([blob.sizeBytes, blob.name]).toEqual([8 * CLUSTER, 'first']);
    const [, next] = await Promise.all([store.delete(id), store.create({ sizeBytes: CLUSTER, name: 'next' })]);
    const after = await store.create({ sizeBytes: 2 * CLUSTER, name: 'after' });
    expect([next.id, after.id]).toContain(id);
    expect([blob.sizeBytes, blob.name, next.name, after.name]).toEqual([8 * CLUSTER, undefined, 'next', 'after']);
  });

  test('refuses the same arguments on the fast path as on the general one', async () => {
    const { blob } = await pooled();
    for (const offset of ['0', 0n, null, [0], -512, 0.5, Number.NaN, 8 * CLUSTER, 2 ** 60] as number[]) {
      await expectCode(blob.write(new Uint8Array(512), offset), 'EINVAL');
      await expectCode(blob.read(offset, new Uint8Array(512)), 'EINVAL');
    }
    await blob.setReadOnly();
    await expectCode(blob.write(new Uint8Array(512), 0), 'EPERM');
  });

  test('refuses a synchronous write to a part of an io unit that an I/O worker may be writing', async () => {
    const { blob } = await pooled(listingDevice(memory().memory, false).spec); // takes only whole blocks
    const writing = blob.write(bytes(4096), 0);
    await expectCode(() => blob.writeSync(bytes(10, 2), 5), 'EBUSY', /promise form/);
    await expectCode(() => blob.trimSync(4000, 200), 'EBUSY');
    blob.writeSync(bytes(10, 3), 4101); // another io unit
    blob.writeSync(bytes(512, 4), 8192);
    await writing;
    blob.writeSync(bytes(10, 2), 5);
    expectSame(await blob.read(0, 5), bytes(5));
    expectSame(await blob.read(5, 10), bytes(10, 2));
    expectSame(await blob.read(15, 4000), bytes(4096).subarray(15, 4015));
    expectSame(blob.readSync(4101, 10), bytes(10, 3));
  });

  test('sends requests in the order of the calls', async () => {
    const { blob } = await pooled();
    const [one, , two] = await Promise.all([blob.snapshot(), blob.resize(2 * CLUSTER), blob.snapshot()]);
    expect([one.sizeBytes, two.sizeBytes]).toEqual([8 * CLUSTER, 2 * CLUSTER]);
  });
});
