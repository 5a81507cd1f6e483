/** The metadata pages of a blob: xattrs, flags, the cluster map; and damaged pages. */

import { pageOfBlobId } from '@blobyard/core';
import { expect } from 'vitest';
import { codeOf, eachConfiguration, type Yard } from './fixture.js';
import { chainDescriptors, DESCRIPTOR, descriptorsOf, editPage, flipCrc } from './raw-page.js';

const INTERNAL_XATTR_FLAG = 2n;
const FLAGS_FIELD = { invalid: 0, dataRo: 8, mdRo: 16 } as const;

/** Sets a bit of a blob's flags on the device. */
function setFlag(yard: Yard, id: bigint, field: keyof typeof FLAGS_FIELD, bit: bigint): void {
  editPage(yard, pageOfBlobId(id), (bytes) => {
    const flags = descriptorsOf(bytes).find(({ type }) => type === DESCRIPTOR.FLAGS)?.payload;
    if (!flags) throw new Error('the page has no flags');
    const at = FLAGS_FIELD[field];
    flags.setBigUint64(at, flags.getBigUint64(at, true) | bit, true);
  });
}

eachConfiguration((test) => {
  test('sets, replaces, gets, names and removes xattrs, user and internal ones apart', (yard) => {
    const { store } = yard;
    const blob = yard.make();
    store.setXattr(blob, 'name', Buffer.from('log.txt'));
    store.setXattr(blob, 'length', Uint8Array.of(1, 2, 3, 4));
    store.setXattr(blob, 'length', Uint8Array.of(5));
    expect([...store.getXattr(blob, 'length')]).toEqual([5]);
    expect(codeOf(() => store.getXattr(blob, 'foobar'))).toBe('ENOENT');
    expect(store.xattrNames(blob)).toEqual(['name', 'length']);
    store.removeXattr(blob, 'name');
    expect(codeOf(() => store.removeXattr(blob, 'name'))).toBe('ENOENT');
    expect(store.xattrNames(blob)).toEqual(['length']);
    expect(blob.flags.invalid & INTERNAL_XATTR_FLAG).toBe(0n);
    blob.setXattr('length', Uint8Array.of(9), true); // an internal xattr with the same name
    expect(blob.flags.invalid & INTERNAL_XATTR_FLAG).toBe(INTERNAL_XATTR_FLAG);
    expect([...store.getXattr(blob, 'length')]).toEqual([5]);
    yard.reload();
    const again = yard.open(blob.id);
    expect(again.flags.invalid & INTERNAL_XATTR_FLAG).toBe(INTERNAL_XATTR_FLAG);
    expect([...(again.internalXattrs.get('length') ?? [])]).toEqual([9]);
    expect([...yard.store.getXattr(again, 'length')]).toEqual([5]);
    yard.seal(again);
    expect(codeOf(() => yard.store.setXattr(again, 'a', Uint8Array.of(1)))).toBe('EPERM');
    expect(codeOf(() => yard.store.removeXattr(again, 'length'))).toBe('EPERM');
    expect([...yard.store.getXattr(again, 'length')]).toEqual([5]);
    again.mdRo = false;
    again.removeXattr('length', true);
    expect(again.flags.invalid & INTERNAL_XATTR_FLAG).toBe(0n);
    yard.reload();
    const last = yard.open(blob.id);
    expect(last.internalXattrs.isEmpty).toBe(true);
    expect(last.flags.invalid & INTERNAL_XATTR_FLAG).toBe(0n);
  });

  test('takes xattrs when it creates a blob, and refuses those that cannot be', (yard) => {
    const { store } = yard;
    const long = new Uint8Array(4000).fill(7);
    const blob = yard.make({ xattrs: { first: Buffer.from('one'), second: Buffer.from('two'), long } });
    expect(store.xattrNames(blob)).toEqual(['first', 'second', 'long']);
    expect(Buffer.from(store.getXattr(blob, 'second')).toString()).toBe('two');
    expect(Buffer.from(store.getXattr(blob, 'long')).equals(long)).toBe(true);
    expect(codeOf(() => store.getXattr(blob, 'third'))).toBe('ENOENT');
    const { usage } = yard;
    expect(codeOf(() => yard.create({ xattrs: { a: new Uint8Array(4096) } }))).toBe('ENOMEM');
    expect(codeOf(() => yard.create({ xattrs: { a: new Uint8Array(0) } }))).toBe('EINVAL');
    expect(codeOf(() => yard.create({ xattrs: { 'a\0b': Uint8Array.of(1) } }))).toBe('EINVAL');
    expect(codeOf(() => store.setXattr(blob, 'a', new Uint8Array(4096)))).toBe('ENOMEM');
    expect(yard.usage).toEqual(usage);
  });

  test('takes a chain of pages for xattrs that fill them, and frees it with the blob', (yard) => {
    const { usage } = yard;
    const blob = yard.make({ clusterCount: 8 });
    const { usedPages } = yard.usage;
    const fits = 4072 - 5 - 4 - 'name'.length;
    yard.store.setXattr(blob, 'name', new Uint8Array(fits).fill(3));
    expect(codeOf(() => yard.store.setXattr(blob, 'name', new Uint8Array(fits + 1)))).toBe('ENOMEM');
    yard.sync(blob);
    expect(yard.usage.usedPages).toBe(usedPages + 2); // the rest of the metadata follows on a third page
    expect(blob.chain).toHaveLength(3);
    yard.reload();
    const again = yard.open(blob.id);
    expect(yard.store.getXattr(again, 'name')).toHaveLength(fits);
    expect(again.clusterCount).toBe(8);
    yard.closeAll();
    yard.delete(blob.id);
    expect(yard.usage).toEqual(usage);
  });

  test('makes a blob read-only at the next sync, and for good', (yard) => {
    const blob = yard.make({ clusterCount: 1 });
    yard.store.setReadOnly(blob);
    expect(blob.isReadOnly).toBe(false);
    yard.write(blob, 0, 1, 1);
    yard.sync(blob);
    expect([blob.dataRo, blob.mdRo]).toEqual([true, true]);
    expect(codeOf(() => yard.write(blob, 0, 1, 2))).toBe('EPERM');
    yard.close(blob);
    const reopened = yard.open(blob.id);
    expect([reopened.dataRo, reopened.mdRo]).toEqual([true, true]);
    yard.reload();
    const again = yard.open(blob.id);
    expect([again.dataRo, again.mdRo]).toEqual([true, true]);
    expect(codeOf(() => yard.store.setXattr(again, 'a', Uint8Array.of(1)))).toBe('EPERM');
    expect(codeOf(() => yard.resize(again, 2))).toBe('EPERM');
    expect(codeOf(() => yard.write(again, 0, 1, 2))).toBe('EPERM');
    yard.expectContent(again, 0, 1, 1);
  });

  test(
    'keeps the maps of two blobs that grew in turns, past the first metadata page',
    (yard) => {
      const blobs = [yard.make(), yard.make()];
      for (let count = 1; count <= 600; count++) for (const blob of blobs) yard.resize(blob, count);
      for (const blob of blobs) yard.sync(blob);
      const mapOf = (blob: (typeof blobs)[0]) => Array.from({ length: 600 }, (_, index) => blob.clusterAt(index));
      const maps = blobs.map(mapOf);
      expect(maps[0].every((cluster, index) => cluster + 1 === maps[1][index])).toBe(true); // no two are neighbours
      const runs = (id: bigint) =>
        chainDescriptors(yard, pageOfBlobId(id)).filter(({ type }) => type === DESCRIPTOR.EXTENT_RLE);
      if (!yard.configuration.useExtentTable) expect(runs(blobs[0].id).length).toBeGreaterThan(1);
      yard.reload();
      expect(blobs.map(({ id }) => mapOf(yard.open(id)))).toEqual(maps);
      yard.crash();
      expect(blobs.map(({ id }) => mapOf(yard.open(id)))).toEqual(maps);
    },
    { store: { clusterBytes: 16 * 1024 } },
  );

  test('neither opens nor deletes a blob whose metadata page is damaged', (yard) => {
    const id = yard.create({ clusterCount: 2 });
    flipCrc(yard, pageOfBlobId(id));
    expect(codeOf(() => yard.open(id))).toBe('EINVAL');
    expect(codeOf(() => yard.delete(id))).toBe('EINVAL');
    flipCrc(yard, pageOfBlobId(id));
    expect(yard.open(id).clusterCount).toBe(2);
  });

  test('obeys flags that it does not know: refuses the blob, or takes it as read-only', (yard) => {
    const ids = [yard.create({ clusterCount: 1 }), yard.create({ clusterCount: 1 }), yard.create({ clusterCount: 1 })];
    setFlag(yard, ids[0], 'invalid', 1n << 63n);
    setFlag(yard, ids[1], 'dataRo', 1n << 62n);
    setFlag(yard, ids[2], 'mdRo', 1n << 61n);
    expect(codeOf(() => yard.open(ids[0]))).toBe('EINVAL');
    const dataRo = yard.open(ids[1]);
    expect([dataRo.dataRo, dataRo.mdRo]).toEqual([true, true]);
    expect(codeOf(() => yard.write(dataRo, 0, 1, 1))).toBe('EPERM');
    const mdRo = yard.open(ids[2]);
    expect([mdRo.dataRo, mdRo.mdRo]).toEqual([false, true]);
    yard.write(mdRo, 0, 1, 1);
    expect(codeOf(() => yard.store.setXattr(mdRo, 'a', Uint8Array.of(1)))).toBe('EPERM');
    yard.reload();
    expect(yard.store.damaged.map((blob) => blob.id)).toEqual([ids[0]]);
    yard.leavesDamage = true;
  });
});
