/** The devices that a store with threads accepts: for itself, for external snapshots, and as the target of a copy. */

import { FileDevice, MemoryDevice, SparseMemoryDevice } from 'blobyard';
import { asyncDevice, type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, MiB } from '../api/support.js';
import { bridge } from './bridge.js';
import { createPooled, openPooled, temporaryFile } from './support.js';

const memory = (sizeBytes = 4 * MiB) => MemoryDevice.create({ sizeBytes, blockLengthBytes: 512 });

/** Counts how often a device is closed. */
function counted<T extends BlockDevice>(device: T): { device: T; closed: () => number } {
  let closed = 0;
  const close = device.close.bind(device);
  device.close = () => {
    closed++;
    return close();
  };
  return { device, closed: () => closed };
}

describe('the device of a store with threads', () => {
  test('may be a new one in memory, which is made once for all threads', async () => {
    const { store } = await createPooled({ device: { kind: 'memory', sizeBytes: 4 * MiB }, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER });
    const own = store.allocate(4096);
    own.set(bytes(4096));
    await blob.write(own, 0);
    expectSame(blob.readSync(0, 4096), bytes(4096));
    store.release(own);
  });

  test('may be a file or memory that the caller has open, and which stays open', async () => {
    const path = await temporaryFile();
    const file = counted(await FileDevice.open({ path, create: true, sizeBytes: 4 * MiB }));
    const shared = counted(memory());
    for (const { device, closed } of [file, shared]) {
      const { store } = await createPooled({ device, clusterSizeBytes: CLUSTER });
      await store.create({ name: 'there', sizeBytes: CLUSTER });
      await store.close();
      expect(closed()).toBe(0);
      const { store: again } = await openPooled({ device });
      expect((await again.blobs()).map(({ name }) => name)).toEqual(['there']);
      await again.close();
    }
    await file.device.close();
  });

  test('cannot be a device that exists on one thread only', async () => {
    const sparse = new SparseMemoryDevice({ sizeBytes: 4 * MiB });
    for (const device of [sparse, new FaultyDevice(memory()), asyncDevice(memory())]) {
      await expectCode(createPooled({ device }), 'ENOTSUP', /`threads: 0`/);
    }
    await expectCode(createPooled({ device: { kind: 'sparse-memory', sizeBytes: 4 * MiB } }), 'ENOTSUP', /one thread/);
  });

  test('has no synchronous forms if it is asynchronous', async () => {
    const path = await temporaryFile();
    const { store } = await createPooled({
      device: { kind: 'file', path, create: true, sizeBytes: 4 * MiB, mode: 'async' },
    });
    const blob = await store.create({ sizeBytes: 1 * MiB });
    await expectCode(() => blob.readSync(0, 1), 'ENOTSUP', /promise form/);
    expect((await blob.read(0, 1)).length).toBe(1);
  });
});

describe('external snapshots of a store with threads', () => {
  const content = bytes(4 * CLUSTER, 5);
  function golden(): MemoryDevice {
    const device = memory(4 * CLUSTER);
    device.bytes().set(content);
    return device;
  }

  test('are opened by the metadata worker, by a spec or as an open device’s twin, which is closed with the clone', async () => {
    const { device, closed } = counted(golden());
    const asked: string[] = [];
    const { store } = await createPooled({
      device: memory(),
      clusterSizeBytes: CLUSTER,
      openExternalSnapshot: async ({ blobId, snapshotId }) => {
        asked.push(`${blobId} ${Buffer.from(snapshotId)}`);
        return Buffer.from(snapshotId).toString() === 'spec' ? golden().spec : device;
      },
    });
    for (const id of ['spec', 'device']) {
      const blob = await store.create({ sizeBytes: 4 * CLUSTER, externalSnapshotId: id });
      expect(asked.at(-1)).toBe(`${blob.id} ${id}`);
      expectSame(await blob.read(77, 10_000), content.subarray(77, 10_077));
      await blob.close();
    }
    await expect.poll(closed).toBe(1); // an event from the metadata worker, which comes later, closes it
  });

  test('that are missing, or whose device exists on one thread only, make opening the clone fail', async () => {
    const answers: (() => BlockDevice | null)[] = [
      golden,
      () => {
        throw Object.assign(new Error('no such image'), { code: 'ENOENT' });
      },
      () => new SparseMemoryDevice({ sizeBytes: 4 * CLUSTER }),
      () => null,
    ];
    const { store } = await createPooled({
      device: memory(),
      clusterSizeBytes: CLUSTER,
      openExternalSnapshot: () => answers.shift()?.() ?? null,
    });
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, externalSnapshotId: 'it' });
    await blob.close();
    await expectCode(store.open(blob.id), 'ENOENT', /no such image/);
    await expectCode(store.open(blob.id), 'ENOTSUP', /can be used by one thread only/);
    const without = await store.open(blob.id);
    await expectCode(without.read(0, 1), 'EIO');
  });

  test('need the callback', async () => {
    const { store } = await createPooled({ device: memory(), clusterSizeBytes: CLUSTER });
    await expectCode(store.create({ externalSnapshotId: 'it' }), 'ENOTSUP', /openExternalSnapshot/);
  });
});

describe('copying from a store with threads', () => {
  test('goes to devices that its metadata worker can open', async () => {
    const device = memory();
    const { store } = await createPooled({ device, clusterSizeBytes: CLUSTER });
    const snapshot = await (await store.create({ sizeBytes: 2 * CLUSTER })).snapshot();
    const target = memory(2 * CLUSTER);
    const path = await temporaryFile();
    const blocks = { blockLengthBytes: 512 };
    expect(await snapshot.copyTo(target)).toBe(2 * CLUSTER);
    expect(await snapshot.copyTo({ kind: 'file', path, create: true, sizeBytes: 2 * CLUSTER, ...blocks })).toBe(
      2 * CLUSTER,
    );
    const bridged = bridge(new SparseMemoryDevice({ sizeBytes: 2 * CLUSTER, blockLengthBytes: 512 }));
    expect(await snapshot.copyTo(bridged.spec)).toBe(2 * CLUSTER);
    bridged.close();
    await expectCode(snapshot.copyTo(new SparseMemoryDevice({ sizeBytes: 1 * MiB })), 'ENOTSUP', /FileDevice/);
    await expectCode(
      snapshot.copyTo({ kind: 'custom', module: '/x.js', options: () => 1 }),
      'EINVAL',
      /cannot be sent/,
    );
    await expectCode(snapshot.copyTo(device), 'EINVAL', /own store/);
  });
});
