/** Handles of blobs: several of one blob, and their closing. */

import type { Blob } from 'blobyard';
import { asyncDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { bytes, CLUSTER, expectCode, expectSame, memory, testStore, usable } from './support.js';

describe('a handle', () => {
  test('refuses every call after it was closed', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true });
    await blob.close();
    await blob.close();
    const calls: ((closed: Blob) => unknown)[] = [
      (closed) => closed.info(),
      (closed) => closed.clones(),
      (closed) => closed.read(0, 1),
      (closed) => closed.readv(0, []),
      (closed) => closed.write(bytes(1), 0),
      (closed) => closed.writev([], 0),
      (closed) => closed.writeZeroes(0, 1),
      (closed) => closed.trim(0, 1),
      (closed) => closed.readSync(0, 1),
      (closed) => closed.readvSync(0, []),
      (closed) => closed.writeSync(bytes(1), 0),
      (closed) => closed.writevSync([], 0),
      (closed) => closed.writeZeroesSync(0, 1),
      (closed) => closed.trimSync(0, 1),
      (closed) => closed.createReadStream(),
      (closed) => closed.createWriteStream(),
      (closed) => closed.nextData(0),
      (closed) => closed.nextHole(0),
      (closed) => closed.snapshot(),
      (closed) => closed.clone(),
      (closed) => closed.inflate(),
      (closed) => closed.decouple(),
      (closed) => closed.copyTo(usable(memory())),
      (closed) => closed.resize(1),
      (closed) => closed.setReadOnly(),
      (closed) => closed.sync(),
      (closed) => closed.flush(),
      (closed) => closed.xattrs.get('a'),
      (closed) => closed.xattrs.getText('a'),
      (closed) => closed.xattrs.set('a', 'b'),
      (closed) => closed.xattrs.setAll({}),
      (closed) => closed.xattrs.delete('a'),
      (closed) => closed.xattrs.list(),
      (closed) => closed.engine,
    ];
    for (const call of calls) await expectCode(() => call(blob), 'EBADF', /open it again/);
    expect([blob.isClosed, blob.sizeBytes, blob.name, blob.parent]).toEqual([true, CLUSTER, undefined, undefined]);
  });

  test('is closed by `await using`, which does no harm if it is closed already', async () => {
    let outer: Blob;
    const store = await testStore();
    {
      await using blob = await store.create({ sizeBytes: CLUSTER });
      outer = blob;
      await blob.write(bytes(10), 0);
    }
    expect(outer.isClosed).toBe(true);
    {
      await using inner = await store.open(outer.id);
      await using copy = await store.open(outer.id);
      await store.close();
      expect([inner.isClosed, copy.isClosed, store.isClosed]).toEqual([true, true, true]);
    }
    expect(typeof store[Symbol.asyncDispose]).toBe('function');
  });

  test('stays open when another handle of its blob is closed', async () => {
    const store = await testStore();
    const one = await store.create({ sizeBytes: 2 * CLUSTER, thin: true });
    const other = await store.open(one.id);
    await one.write(bytes(1000), 100);
    await one.close();
    expectSame(await other.read(100, 1000), bytes(1000));
    await expectCode(store.delete(one.id), 'EBUSY');
    await other.resize(CLUSTER);
    await other.close();
    await store.delete(one.id);
  });

  test('waits, when it closes, for the requests that are under way', async () => {
    const device = new FaultyDevice(memory(), { asynchronous: true });
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    const other = await store.open(blob.id);
    const gate = device.gate('write', 1);
    let ended = '';
    const writing = blob.write(bytes(3000), 5).then(() => {
      ended += 'write ';
    });
    await gate.reached;
    const closing = blob.close().then(() => {
      ended += 'close';
    });
    await expectCode(blob.write(bytes(1), 0), 'EBADF');
    gate.release();
    await Promise.all([writing, closing]);
    expect(ended).toBe('write close');
    expectSame(await other.read(5, 3000), bytes(3000));
  });

  test('whose close fails by an error of the device can be closed by another call', async () => {
    const device = new FaultyDevice(memory());
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true, name: 'it' });
    await blob.write(bytes(3000), 5); // there is metadata to write
    device.failAt(1, { kind: 'write', times: 3 });
    await expectCode(blob.close(), 'EIO');
    await expectCode(blob.read(0, 1), 'EBADF');
    device.failAt(1, { kind: 'flush' });
    for (;;) {
      const closed = await blob.close().then(
        () => true,
        () => false,
      );
      if (closed) break;
    }
    expectSame(await (await store.open({ name: 'it' })).read(5, 3000), bytes(3000));
  });
});

test('invalid options of a blob are refused', async () => {
  const store = await testStore(asyncDevice(memory()));
  const wrong = [
    { sizeBytes: -1 },
    { sizeBytes: 1.5 },
    { sizeBytes: '10' },
    { sizeBytes: Number.NaN },
    { sizeBytes: 2 ** 53 },
    { thin: 'yes' },
    { clearMethod: 'shred' },
    { useExtentTable: 1 },
    { externalSnapshotId: '' },
    { externalSnapshotId: new Uint8Array(0) },
    { size: 10 },
    7,
    null,
    [],
  ];
  for (const options of wrong) await expectCode(store.create(options as never), 'EINVAL');
  await expectCode(store.open(1n << 32n, { clearMethod: 'shred' } as never), 'EINVAL');
  expect(await store.blobs()).toEqual([]);
});
