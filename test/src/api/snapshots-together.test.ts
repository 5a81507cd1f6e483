/** Snapshots of several blobs of one moment, by `store.snapshot`. */

import type { Blob } from 'blobyard/types';
import { expect, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isPooled,
  memory,
  openStore,
  testStore,
  verify,
} from './support.js';

test('snapshots of several blobs have names, xattrs and the data of one moment', async () => {
  const device = memory();
  const made = await createStore({ device, clusterSizeBytes: CLUSTER });
  const blobs: Blob[] = [];
  for (const name of ['data', 'log', 'index']) {
    blobs.push(await made.create({ name, sizeBytes: 2 * CLUSTER, thin: true, xattrs: { owner: name } }));
  }
  for (const [at, blob] of blobs.entries()) await blob.write(bytes(CLUSTER, at + 1), 100);
  const snapshots = await made.snapshot(blobs, { name: ({ name }) => `${name} of today`, xattrs: { why: 'backup' } });
  expect(snapshots.map(({ name }) => name)).toEqual(['data of today', 'log of today', 'index of today']);
  expect(blobs.map(({ parent }) => parent)).toEqual(snapshots.map(({ id }) => id));
  for (const blob of blobs) await blob.write(bytes(CLUSTER, 9), 100);
  await made.close();

  await using store = await openStore({ device });
  for (const [at, name] of ['data', 'log', 'index'].entries()) {
    const snapshot = await store.open({ name: `${name} of today` });
    expectSame(await snapshot.read(100, CLUSTER), bytes(CLUSTER, at + 1));
    expect([await snapshot.xattrs.getText('owner'), await snapshot.xattrs.getText('why')]).toEqual([name, 'backup']);
    expect(snapshot.isReadOnly).toBe(true);
  }
});

test('a write that follows from another one is in no snapshot without that one', async () => {
  const store = await testStore(memory(32 * 1024 * 1024));
  const create = () => store.create({ sizeBytes: CLUSTER, thin: true });
  const [first, second] = [await create(), await create()];
  const others: Blob[] = [];
  for (let count = 0; count < 8; count++) others.push(await create());
  let isDone = false;
  let counted = 0;
  const counting = (async () => {
    while (!isDone) {
      counted++;
      const value = new Uint8Array(Uint32Array.of(counted).buffer);
      await first.write(value, 0);
      await second.write(value, 0);
    }
  })();
  for (let round = 0; round < 6; round++) {
    const snapshots = await store.snapshot([first, ...others, second]);
    const values = await Promise.all([snapshots[0], snapshots[9]].map((snapshot) => snapshot.read(0, 4)));
    const [one, two] = values.map((value) => new Uint32Array(value.slice().buffer)[0]);
    expect([one - two === 0 || one - two === 1, one, two]).toEqual([true, one, two]);
    for (const snapshot of snapshots) await snapshot.close();
  }
  isDone = true;
  await counting;
  expect(counted).toBeGreaterThan(6);
  verify(store);
});

test('a list that cannot be snapshotted leaves nothing behind', async () => {
  const store = await testStore();
  const other = await testStore();
  const [one, two] = [await store.create({ sizeBytes: CLUSTER }), await store.create({ sizeBytes: CLUSTER })];
  const foreign = await other.create({ sizeBytes: CLUSTER });
  const closed = await store.open(two.id);
  await closed.close();
  const readOnly = await store.create({ sizeBytes: CLUSTER, name: 'fixed' });
  await readOnly.setReadOnly();
  const count = (await store.blobs()).length;
  await expectCode(store.snapshot([one, foreign]), 'EINVAL', /of this store/);
  await expectCode(store.snapshot([one, { id: one.id } as never]), 'EINVAL', /of this store/);
  await expectCode(store.snapshot('all' as never), 'EINVAL', /array/);
  await expectCode(store.snapshot([one, await store.open(one.id)]), 'EINVAL', /twice/);
  await expectCode(store.snapshot([one, closed]), 'EBADF');
  await expectCode(store.snapshot([one, readOnly, two]), 'EINVAL', /read-only/);
  await expectCode(store.snapshot([one, two], { name: () => 'the same' }), 'EEXIST');
  await expectCode(store.snapshot([one, two], { name: ({ id }) => (id === two.id ? 'fixed' : 'new') }), 'EEXIST');
  await expectCode(store.snapshot([one], { names: [] } as never), 'EINVAL');
  expect(await store.snapshot([])).toEqual([]);
  expect(await store.blobs()).toHaveLength(count);
  const [snapshot] = await store.snapshot([one], { name: () => 'new' });
  expect([snapshot.name, one.parent]).toEqual(['new', snapshot.id]);
});

test('it meets other operations on the same blobs without a deadlock', async () => {
  const store = await testStore(memory(32 * 1024 * 1024));
  const blobs = await Promise.all([1, 2, 3].map(() => store.create({ sizeBytes: 4 * CLUSTER, thin: true })));
  for (const [at, blob] of blobs.entries()) await blob.write(bytes(3 * CLUSTER, at), 0);
  const [a, b, c] = blobs;
  const made = await Promise.all([
    store.snapshot([a, b, c]),
    store.snapshot([c, b, a]),
    a.snapshot().then((snapshot) => [snapshot]),
    b.resize(5 * CLUSTER).then(() => []),
    c.inflate().then(() => []),
    store.flush().then(() => []),
    store.snapshot([b, c]),
  ]);
  for (const [at, blob] of blobs.entries()) expectSame(await blob.read(0, 3 * CLUSTER), bytes(3 * CLUSTER, at));
  for (const snapshot of made.flat()) await snapshot.close();
  expect(made.flat()).toHaveLength(9);
  verify(store);
  if (!isPooled) expect(store.channel.frozenDepth).toBe(0);
});
