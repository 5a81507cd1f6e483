/** Closing a store in pool mode while it is in use. */

import { MemoryDevice } from 'blobyard';
import { FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, expectCode, MiB } from '../api/support.js';
import { bridge } from './bridge.js';
import { createPooled, openPooled, temporaryFile } from './support.js';

describe('closing a store that is in use', () => {
  test('lets operations end, or refuses them, and leaves no thread and no lock', async () => {
    const path = await temporaryFile();
    const { store, parts } = await createPooled({
      device: { kind: 'file', path, create: true, sizeBytes: 16 * MiB },
      clusterSizeBytes: CLUSTER,
      requestsMax: 8,
    });
    const blobs = await Promise.all(
      Array.from({ length: 4 }, (_, index) => store.create({ sizeBytes: 1 * MiB, thin: true, name: `${index}` })),
    );
    const work: Promise<unknown>[] = [];
    for (let index = 0; index < 200; index++) {
      const blob = blobs[index % blobs.length];
      work.push(blob.write(bytes(3000, index + 1), index * 3000));
      if (index % 20 === 0) work.push(blob.snapshot(), blob.flush(), store.blobs(), blob.info());
      if (index % 50 === 0) work.push(blob.resize(1 * MiB + index * CLUSTER), store.create());
    }
    const closing = store.close();
    work.push(store.stats(), blobs[0].read(0, 100), blobs[0].close());
    const outcomes = await Promise.allSettled(work);
    await closing;
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ name: 'BlobstoreError', code: 'EBADF' });
    }
    expect(outcomes.slice(0, 200).every((outcome) => outcome.status === 'fulfilled')).toBe(true);
    expect(parts.isWorkerThere).toBe(false);
    expect(parts.events).toEqual(['plane stopped']);
    const { store: again } = await openPooled({ device: { kind: 'file', path } });
    for (let index = 0; index < 200; index++) {
      const blob = await again.open({ name: `${index % 4}` });
      expect(Buffer.compare(await blob.read(index * 3000, 3000), bytes(3000, index + 1))).toBe(0);
      await blob.close();
    }
    await again.close();
  });

  test('keeps the lock until the threads have ended', async () => {
    const path = await temporaryFile();
    const device = { kind: 'file', path, create: true, sizeBytes: 4 * MiB } as const;
    const { store } = await createPooled({ device });
    const closing = store.close();
    await expectCode(openPooled({ device: { kind: 'file', path } }), 'EBUSY');
    await closing;
    await openPooled({ device: { kind: 'file', path } });
  });

  test('has the same outcome for all callers', async () => {
    const { store } = await createPooled({ device: { kind: 'memory', sizeBytes: 4 * MiB } });
    const blob = await store.create({ sizeBytes: 1 * MiB });
    const [first, second] = [store.close(), store.close()];
    expect(second).toBe(first);
    await Promise.all([first, blob.close(), store.destroy()]);
    expect([store.isClosed, blob.isClosed, blob.sizeBytes]).toEqual([true, true, 1 * MiB]);
  });

  test('ends its threads and releases its lock even if the device fails', async () => {
    const inner = MemoryDevice.create({ sizeBytes: 4 * MiB });
    const device = new FaultyDevice(inner);
    const { spec, close } = bridge(device);
    const { store, parts } = await createPooled({ device: spec, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true });
    await blob.write(bytes(4096), 0);
    device.failAt(1, { kind: 'write', times: 1000 });
    await expectCode(store.close(), 'EIO');
    await expectCode(store.close(), 'EIO');
    expect(parts.isWorkerThere).toBe(false);
    close();
    await (await openPooled({ device: inner })).store.close();
  });
});
