/** What JSON and `console.log` say of stores, blobs and infos. */

import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { CLUSTER, memory, testStore, usable } from './support.js';

test('JSON has ids as decimal text', async () => {
  const store = await testStore(undefined, { openExternalSnapshot: () => usable(memory()) });
  const blob = await store.create({ name: 'disk', sizeBytes: CLUSTER });
  const snapshot = await blob.snapshot();
  const external = await store.create({ sizeBytes: CLUSTER, externalSnapshotId: 'abc' });
  const infos: unknown = JSON.parse(JSON.stringify(await store.blobs()));
  expect(infos).toMatchObject([
    { id: `${blob.id}`, name: 'disk', parentId: `${snapshot.id}`, clones: [], externalSnapshotId: null },
    { id: `${snapshot.id}`, name: null, parentId: null, clones: [`${blob.id}`], sizeBytes: CLUSTER },
    { id: `${external.id}`, externalSnapshotId: '616263' },
  ]);
  expect(JSON.parse(JSON.stringify([await blob.info()]))).toEqual([(infos as unknown[])[0]]);
  expect(JSON.parse(JSON.stringify({ store, blob, snapshot }))).toEqual({
    store: { isClosed: false, clusterSizeBytes: CLUSTER, ioUnitBytes: expect.any(Number), openBlobs: 3, damaged: [] },
    blob: {
      id: `${blob.id}`,
      name: 'disk',
      sizeBytes: CLUSTER,
      parent: `${snapshot.id}`,
      isReadOnly: false,
      isClosed: false,
    },
    snapshot: expect.objectContaining({ id: `${snapshot.id}`, name: null, isReadOnly: true }),
  });
  expect(typeof JSON.stringify(await store.stats())).toBe('string');
  for (const each of [blob, snapshot, external]) await each.close();
  expect(JSON.parse(JSON.stringify(blob))).toMatchObject({ id: `${blob.id}`, isClosed: true });
});

test('what is printed is one line of facts, and no inside', async () => {
  const store = await testStore();
  const blob = await store.create({ name: 'disk', sizeBytes: CLUSTER });
  expect(inspect(blob)).toMatch(new RegExp(`^Blob \\{\\s+id: '${blob.id}',\\s+name: 'disk',`));
  expect(inspect(await blob.info())).toMatch(new RegExp(`^BlobInfo \\{\\s+id: '${blob.id}',`));
  expect(inspect((await store.blobs())[0])).toMatch(/^BlobInfo \{/);
  expect(inspect(store)).toMatch(/^Store \{\s+isClosed: false,/);
  expect(inspect({ a: { b: { c: { store, blob } } } }, { depth: 2 })).not.toMatch(/#|parts|EventEmitter/);
});

test('infos are frozen, and compare with plain objects', async () => {
  const store = await testStore();
  const blob = await store.create({ name: 'disk', sizeBytes: CLUSTER });
  const [listed] = await store.blobs();
  expect(Object.isFrozen(listed)).toBe(true);
  expect(Object.isFrozen(await blob.info())).toBe(true);
  expect({ ...listed }).toEqual({ ...(await blob.info()) });
  expect(structuredClone(listed)).toEqual({ ...listed });
});
