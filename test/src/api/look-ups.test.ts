/** Looking at blobs without opening them: `has`, `stat`, lists with a filter, lists in parts; and `rename`. */

import { openStore as openInline, SparseMemoryDevice } from 'blobyard';
import type { BlobFilter, BlobInfo } from 'blobyard/types';
import { describe, expect, test } from 'vitest';
import { CLUSTER, expectCode, isPooled, MiB, memory, openStore, testStore } from './support.js';

describe('has and stat', () => {
  test('tell of a blob by id or name, open or not', async () => {
    const store = await testStore();
    const blob = await store.create({ name: 'disk', sizeBytes: 3 * CLUSTER, thin: true });
    const { id } = blob;
    for (const address of [id, { name: 'disk' }]) {
      expect(await store.has(address)).toBe(true);
      expect(await store.stat(address)).toEqual(await blob.info());
    }
    await blob.write(new Uint8Array(1), 0);
    await blob.resize(2 * CLUSTER);
    expect(await store.stat(id)).toMatchObject({ sizeBytes: 2 * CLUSTER, allocatedBytes: CLUSTER, name: 'disk' });
    await blob.close();
    expect(await store.stat(id)).toMatchObject({ sizeBytes: 2 * CLUSTER, allocatedBytes: CLUSTER, name: 'disk' });
    await store.delete(id);
    for (const address of [id, { name: 'disk' }, 123n]) {
      expect(await store.has(address)).toBe(false);
      await expectCode(store.stat(address), 'ENOENT', /there is no blob/);
    }
    await expectCode(store.has('disk' as never), 'EINVAL');
    await expectCode(store.stat({ name: '' }), 'EINVAL');
  });

  test('wait for an operation on the blob, which they show as it is afterwards', async () => {
    const store = await testStore();
    const blob = await store.create({ name: 'disk', sizeBytes: CLUSTER });
    const [, info] = await Promise.all([blob.resize(2 * CLUSTER), store.stat({ name: 'disk' })]);
    expect([CLUSTER, 2 * CLUSTER]).toContain(info.sizeBytes);
    const snapshot = blob.snapshot({ name: 'before' });
    expect(await store.stat(blob.id)).toMatchObject({ name: 'disk' });
    await snapshot;
    expect(await store.stat(blob.id)).toMatchObject({ clone: true, parentId: (await snapshot).id });
  });
});

describe('rename', () => {
  test('gives a blob another name, on disk and in its open handles', async () => {
    const device = memory();
    const store = await testStore(device);
    const blob = await store.create({ name: 'old' });
    await store.rename({ name: 'old' }, 'new');
    expect(blob.name).toBe('new');
    expect(await blob.xattrs.getText('name')).toBe('new');
    expect(await store.has({ name: 'old' })).toBe(false);
    const other = await store.create({ name: 'old' }); // the name is free
    await other.close();
    await expectCode(store.rename(blob.id, 'old'), 'EEXIST', /'old' is taken/);
    await store.rename(blob.id, 'new'); // it has that name
    await blob.close();
    await store.rename(blob.id, 'newer');
    await store.close();
    const again = await openStore({ device });
    expect((await again.blobs()).map(({ name }) => name)).toEqual(['newer', 'old']);
    await again.close();
  });

  test('fails for blobs that are not there or read-only, and for what is no name', async () => {
    const store = await testStore();
    const blob = await store.create({ name: 'disk' });
    const snapshot = await blob.snapshot({ name: 'before' });
    await expectCode(store.rename({ name: 'before' }, 'after'), 'EPERM', /read-only/);
    await expectCode(store.rename({ name: 'nobody' }, 'other'), 'ENOENT');
    await expectCode(store.rename(blob.id, ''), 'EINVAL');
    await expectCode(store.rename(blob.id, 7 as never), 'EINVAL');
    await snapshot.close();
    await blob.close();
    await store.delete({ name: 'disk' }); // nothing has kept it open
  });
});

describe('lists', () => {
  test('have what passes the filter, at once or one after another', async () => {
    const store = await testStore();
    for (const name of ['a1', 'a2', 'b1']) {
      const blob = await store.create({ name, sizeBytes: CLUSTER });
      const snapshot = await blob.snapshot({ name: `${name}@1` });
      const clone = await snapshot.clone();
      for (const each of [clone, snapshot, blob]) await each.close();
    }
    const all = await store.blobs();
    const parent = all.find(({ name }) => name === 'a2@1')?.id;
    const filters: [BlobFilter | undefined, (info: BlobInfo) => boolean, number][] = [
      [undefined, () => true, 9],
      [{}, () => true, 9],
      [{ prefix: 'a' }, ({ name }) => name?.startsWith('a') === true, 4],
      [{ prefix: '' }, ({ name }) => name !== undefined, 6],
      [{ snapshots: true }, ({ snapshot }) => snapshot, 3],
      [{ snapshots: false }, ({ snapshot }) => !snapshot, 6],
      [{ clones: true, prefix: 'b' }, ({ name }) => name === 'b1', 1],
      [{ clones: false }, ({ clone }) => !clone, 3],
      [{ parent: { name: 'a2@1' } }, ({ parentId }) => parentId === parent, 2],
      [{ parent }, ({ parentId }) => parentId === parent || parent === undefined, 2],
    ];
    for (const [filter, passes, count] of filters) {
      const wanted = all.filter(passes);
      expect(wanted.length).toBe(count);
      expect(await store.blobs(filter)).toEqual(wanted);
      const each = [];
      for await (const info of store.eachBlob(filter)) each.push(info);
      expect(each).toEqual(wanted);
    }
    await expectCode(store.blobs({ parent: 99n }), 'ENOENT');
    await expectCode(store.eachBlob({ parent: { name: 'nobody' } }).next(), 'ENOENT');
    await expectCode(store.blobs({ prefix: 1 as never }), 'EINVAL', /prefix/);
    await expectCode(() => store.eachBlob({ snapshots: 'yes' as never }), 'EINVAL', /snapshots/);
    await expectCode(() => store.eachBlob({ name: 'a' } as never), 'EINVAL', /no option 'name'/);
  });

  test('in parts go on where they were, whatever is created and deleted meanwhile', async () => {
    const store = await testStore(memory(64 * MiB));
    const ids: bigint[] = [];
    const create = async (name: string) => {
      const blob = await store.create({ name });
      await blob.close();
      return blob.id;
    };
    for (let at = 0; at < 2500; at++) ids.push(await create(`blob ${at}`));
    const seen: bigint[] = [];
    for await (const { id } of store.eachBlob()) {
      seen.push(id);
      if (seen.length === 500) await store.delete(ids[100]); // seen
      if (seen.length === 600) await store.delete(ids[2000]); // not yet
      if (seen.length === 700) await create('late'); // gets the lowest free page: not seen
    }
    expect(seen).toEqual(ids.filter((id) => id !== ids[2000]));
    const some = store.eachBlob({ prefix: 'blob 24' });
    expect((await some.next()).value).toMatchObject({ name: 'blob 24' });
    expect(await some.return?.()).toEqual({ done: true, value: undefined });
    await store.close();
    await expectCode(() => store.eachBlob(), 'EBADF');
  });

  test.skipIf(isPooled)('in parts let the event loop turn', async () => {
    const device = new SparseMemoryDevice({ sizeBytes: 256 * MiB });
    const store = await openInline({ device, create: true, clusterSizeBytes: CLUSTER });
    for (let at = 0; at < 5000; at++) await (await store.create()).close();
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    let seen = 0;
    for await (const { id } of store.eachBlob()) {
      seen += id > 0n ? 1 : 0;
      const until = performance.now() + 0.02; // work of the caller
      while (performance.now() < until);
    }
    isOver = true;
    expect(seen).toBe(5000);
    expect(turns).toBeGreaterThan(2);
    await store.close();
  });
});
