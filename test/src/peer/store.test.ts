/** Stores as a whole: initialising, loading, unloading, types, versions and the super block. */

import { Blobstore, bstypeFromText, INVALID_BLOB_ID, runSync, SuperBlock } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { codeOf, codeOfLoad, eachConfiguration, MIB, type Yard } from './fixture.js';

const VERSION_AT = 8;
const BLOB_ID_MASK_AT = 72;
const SIZE_AT = 80;
const IO_UNIT_AT = 88;

/** Changes the super block of an unloaded store, and updates its crc. */
function editSuper(yard: Yard, edit: (view: DataView, block: SuperBlock) => void): void {
  yard.poke(0, (bytes) => {
    const block = new SuperBlock(bytes);
    edit(new DataView(bytes.buffer, bytes.byteOffset), block);
    block.seal();
  });
}

function superOf(yard: Yard): SuperBlock {
  return new SuperBlock(yard.peek(0, 4096));
}

describe('a store with an invalid block length', () => {
  it('refuses a device with blocks of 500 bytes, to initialise and to load', () => {
    const device = new SparseMemoryDevice({ sizeBytes: 500 * 131072, blockLengthBytes: 500 });
    expect(codeOf(() => runSync(Blobstore.init(device)))).toBe('EINVAL');
    expect(codeOfLoad(device)).toBe('EINVAL');
  });
});

eachConfiguration((test) => {
  test('initialises with defaults, unloads and loads', (yard) => {
    expect(yard.store.geometry.clusterBytes).toBe(MIB);
    expect(yard.store.freeClusterCount).toBe(63);
    yard.unload();
    expect(superOf(yard).clean).toBe(1);
    expect(yard.load().freeClusterCount).toBe(63);
  });

  test('opens and closes channels, and fails when no channel is left', (yard) => {
    const first = yard.store.openChannel();
    yard.do(yard.store.closeChannel(first));
    const channels = Array.from({ length: 256 }, () => yard.store.openChannel());
    expect(codeOf(() => yard.store.openChannel())).toBe('ENOMEM');
    yard.do(yard.store.closeChannel(channels[100]));
    expect(codeOf(() => yard.store.openChannel())).toBe('ok');
    const blob = yard.make({ clusterCount: 1 });
    expect(codeOf(() => channels[100].readSync(blob, new Uint8Array(4096), 0, 1))).toBe('EBADF');
  });

  test('remembers the super blob', (yard) => {
    expect(codeOf(() => yard.store.getSuper())).toBe('ENOENT');
    const id = yard.create();
    yard.do(yard.store.setSuper(id));
    expect(yard.store.getSuper()).toBe(id);
    expect(yard.reload().getSuper()).toBe(id);
    expect(yard.crash().getSuper()).toBe(id);
  });

  test('keeps xattrs, size and clean flag over unload and load, and refuses wrong ids', (yard) => {
    const blob = yard.make({ clusterCount: 10 });
    yard.store.setXattr(blob, 'name', Buffer.from('log.txt'));
    yard.store.setXattr(blob, 'length', Uint8Array.of(0x34, 0x12));
    const { id } = blob;
    yard.closeAll();
    expect(superOf(yard).clean).toBe(0);
    yard.unload();
    expect(superOf(yard).clean).toBe(1);
    yard.load();
    expect(superOf(yard).clean).toBe(1); // loading alone does not mark the store as dirty
    for (const wrong of [0n, id + 1n, id + (1n << 33n), INVALID_BLOB_ID]) {
      expect(codeOf(() => yard.open(wrong))).toBe('ENOENT');
    }
    const again = yard.open(id);
    expect(again.clusterCount).toBe(10);
    expect(Buffer.from(yard.store.getXattr(again, 'name')).toString()).toBe('log.txt');
    expect([...yard.store.getXattr(again, 'length')]).toEqual([0x34, 0x12]);
    expect(codeOf(() => yard.store.getXattr(again, 'foobar'))).toBe('ENOENT');
    yard.store.setXattr(again, 'name', Buffer.from('a'));
    yard.sync(again);
    expect(superOf(yard).clean).toBe(0);
  });

  test('refuses invalid options when it loads', (yard) => {
    yard.unload();
    expect(codeOfLoad(yard.device, { channelOpsMax: 0 })).toBe('EINVAL');
    expect(codeOfLoad(yard.device, { bstype: new Uint8Array(15) })).toBe('EINVAL');
    expect(codeOfLoad(yard.device, { durability: 'some' as never })).toBe('EINVAL');
    expect(codeOfLoad(yard.device)).toBe('ok');
  });

  test('loads on a larger device as it was, on a smaller one not at all, and takes the size of the device where none is recorded', (yard) => {
    const { blockCount } = yard.memory;
    const total = yard.store.dataClusterCount;
    yard.unload();
    yard.memory.resize(blockCount * 2);
    expect(yard.load().dataClusterCount).toBe(total);
    yard.unload();
    yard.memory.resize(blockCount - 1);
    expect(codeOfLoad(yard.device)).toBe('EILSEQ');
    yard.memory.resize(blockCount);
    editSuper(yard, (_, block) => {
      block.sizeBytes = 0;
    });
    expect(yard.load().dataClusterCount).toBe(total);
    yard.create();
    yard.unload();
    expect(superOf(yard).sizeBytes).toBe(64 * MIB);
    yard.load();
  });

  test(
    'takes the cluster size from the super block',
    (yard) => {
      expect(yard.store.geometry.clusterBytes).toBe(256 * 1024);
      const { dataClusterCount } = yard.store;
      yard.reload();
      expect(yard.store.geometry.clusterBytes).toBe(256 * 1024);
      expect(yard.store.dataClusterCount).toBe(dataClusterCount);
      yard.reload({ forceRecover: true });
      expect(yard.store.dataClusterCount).toBe(dataClusterCount);
    },
    { store: { clusterBytes: 256 * 1024 } },
  );

  test('is not unloaded while a blob is open', (yard) => {
    const blob = yard.make();
    expect(codeOf(() => yard.do(yard.store.unload()))).toBe('EBUSY');
    expect(codeOf(() => yard.do(yard.store.destroy()))).toBe('EBUSY');
    yard.close(blob);
    yard.unload();
    yard.load();
    expect(yard.store.blobIds()).toEqual([blob.id]);
  });

  test('refuses invalid cluster sizes, and keeps valid ones', (yard) => {
    yard.unload();
    const initWith = (clusterBytes: number) => codeOf(() => runSync(Blobstore.init(yard.device, { clusterBytes })));
    expect(initWith(0)).toBe('EINVAL');
    expect(initWith(4096)).toBe('ENOMEM'); // a page of metadata for each: more than the device has
    expect(initWith(2048)).toBe('EINVAL');
    expect(initWith(4097)).toBe('EINVAL');
    yard.use(runSync(Blobstore.init(yard.device, { clusterBytes: 2 * MIB })));
    expect(yard.reload().geometry.clusterBytes).toBe(2 * MIB);
  });

  test('has as many data clusters after a reload as before', (yard) => {
    const total = yard.store.dataClusterCount;
    for (let made = 0; made < 4; made++) yard.make({ clusterCount: 7 });
    expect(yard.store.dataClusterCount).toBe(total);
    expect(yard.store.freeClusterCount).toBe(total - 28);
    yard.reload();
    expect(yard.store.dataClusterCount).toBe(total);
    expect(yard.store.freeClusterCount).toBe(total - 28);
  });

  test(
    'keeps masks of several pages over a reload',
    (yard) => {
      const { geometry, dataClusterCount } = yard.store;
      expect(geometry.clusterBytes).toBe(16 * 1024);
      for (let made = 0; made < 512; made++) yard.create({ clusterCount: made % 3 });
      const { usage } = yard;
      yard.reload();
      expect(yard.store.blobIds()).toHaveLength(512);
      expect(yard.usage).toEqual(usage);
      expect(yard.store.dataClusterCount).toBe(dataClusterCount);
      yard.crash({ forceRecover: true });
      expect(yard.usage).toEqual(usage);
    },
    { store: { clusterBytes: 16 * 1024 } },
  );

  test('leaves nothing to load when it is destroyed', (yard) => {
    yard.create({ clusterCount: 3 });
    const { store } = yard;
    yard.do(store.destroy());
    expect(codeOfLoad(yard.device)).toBe('EILSEQ');
    expect(codeOf(() => yard.do(store.createBlob()))).toBe('EBADF');
    yard.use(runSync(Blobstore.init(yard.device, {})));
    expect(yard.store.blobIds()).toEqual([]);
  });

  test(
    'matches store types',
    (yard) => {
      expect(yard.store.bstype).toBe('TESTTYPE');
      yard.unload();
      expect(codeOfLoad(yard.device, { bstype: bstypeFromText('SOMETHING ELSE') })).toBe('ENXIO');
      expect(codeOfLoad(yard.device, { bstype: bstypeFromText('') })).toBe('ok');
      expect(codeOfLoad(yard.device, { bstype: bstypeFromText('TESTTYPE') })).toBe('ok');
      const untyped = new SparseMemoryDevice({ sizeBytes: 64 * MIB });
      runSync(runSync(Blobstore.init(untyped)).unload());
      expect(codeOfLoad(untyped, { bstype: bstypeFromText('TESTTYPE') })).toBe('ENXIO');
      expect(codeOfLoad(untyped)).toBe('ok');
      yard.load({ bstype: bstypeFromText('TESTTYPE') });
    },
    { store: { bstype: bstypeFromText('TESTTYPE') } },
  );

  test('refuses a newer version, and loads version 1', (yard) => {
    const id = yard.create({ clusterCount: 5 });
    yard.unload();
    editSuper(yard, (view) => view.setUint32(VERSION_AT, 4, true));
    expect(codeOfLoad(yard.device)).toBe('EILSEQ');
    editSuper(yard, (view) => {
      view.setUint32(VERSION_AT, 1, true);
      for (let at = BLOB_ID_MASK_AT; at < 96; at++) view.setUint8(at, 0); // fields of later versions
    });
    yard.load();
    expect(yard.open(id).clusterCount).toBe(5);
  });

  test('keeps the version, and finds the blob ids of an older version, which has no mask of them', (yard) => {
    const first = yard.create();
    yard.unload();
    editSuper(yard, (view) => {
      view.setUint32(VERSION_AT, 2, true);
      view.setBigUint64(BLOB_ID_MASK_AT, 0n, true);
      view.setBigUint64(SIZE_AT, 0n, true);
      view.setUint32(IO_UNIT_AT, 0, true);
    });
    yard.load();
    const second = yard.create();
    yard.unload();
    expect(superOf(yard).version).toBe(2);
    expect(superOf(yard).clean).toBe(1);
    expect(superOf(yard).blobIdMask).toEqual({ start: 0, count: 0 });
    yard.load();
    expect(superOf(yard).version).toBe(2);
    expect(yard.store.blobIds()).toEqual([first, second]);
  });

  test('refuses a super block whose crc does not fit', (yard) => {
    yard.unload();
    yard.poke(4092, (bytes) => (bytes[0] ^= 1), 4);
    expect(codeOfLoad(yard.device)).toBe('EILSEQ');
    yard.poke(4092, (bytes) => (bytes[0] ^= 1), 4);
    expect(codeOfLoad(yard.device)).toBe('ok');
  });

  test(
    'takes 4096 for an io unit size that is not recorded',
    (yard) => {
      expect(yard.store.geometry.ioUnitBytes).toBe(512);
      yard.unload();
      editSuper(yard, (view) => view.setUint32(IO_UNIT_AT, 0, true));
      yard.load();
      expect(yard.store.geometry.ioUnitBytes).toBe(4096);
      const blob = yard.make({ clusterCount: 1 });
      yard.write(blob, 0, 256, 7);
      yard.expectContent(blob, 0, 256, 7);
      expect(codeOf(() => yard.write(blob, 256, 1, 7))).toBe('EINVAL');
    },
    { blockLengthBytes: 512 },
  );
});
