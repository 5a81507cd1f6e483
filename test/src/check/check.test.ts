/** Every sort of damage that a check can find, made on a disk that is in order before. */

import { checkStore, INVALID_BLOB_ID, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { DESCRIPTOR, descriptorsOf } from '../peer/raw-page.js';
import { DamagedStore } from './damaged-store.js';

/** Damage, and what the check then finds. */
interface Case {
  name: string;
  damage: (store: DamagedStore) => void;
  kinds: string[];
}

const FLAGS_INVALID_AT = 0;

const CASES: Case[] = [
  {
    name: 'a root with a wrong crc',
    damage: (at) => at.edit(at.root('thick'), (v) => v.setUint8(100, 7), false),
    kinds: ['chain'],
  },
  { name: 'a chain that leaves the region', damage: (at) => at.link(at.root('thick'), 5000), kinds: ['chain'] },
  {
    name: 'a chain that comes back',
    damage: (at) => at.link(at.next(at.root('long')), at.root('long')),
    kinds: ['chain'],
  },
  {
    name: 'a chain that goes on in another blob',
    damage: (at) => at.link(at.root('thick'), at.root('thin')),
    kinds: ['chain'],
  },
  {
    name: 'a second page with a wrong crc',
    damage: (at) => at.edit(at.next(at.root('long')), (v) => v.setUint8(90, 1), false),
    kinds: ['chain'],
  },
  {
    name: 'a descriptor past its page',
    damage: (at) => at.edit(at.root('thick'), (v) => v.setUint32(17, 5000, true)),
    kinds: ['descriptor'],
  },
  {
    name: 'an unknown descriptor',
    damage: (at) => at.edit(at.root('thick'), (v) => v.setUint8(16, 9)),
    kinds: ['descriptor'],
  },
  {
    name: 'flags of a newer version',
    damage: (at) => at.editDescriptor(at.root('thick'), DESCRIPTOR.FLAGS, (v) => v.setUint8(FLAGS_INVALID_AT, 0x84)),
    kinds: ['flags'],
  },
  {
    name: 'a thick blob with holes',
    damage: (at) => at.editDescriptor(at.root('thin'), DESCRIPTOR.FLAGS, (v) => v.setUint8(FLAGS_INVALID_AT, 4)),
    kinds: ['extents'],
  },
  {
    name: 'xattr lengths that do not add up',
    damage: (at) => at.editDescriptor(at.root('long'), DESCRIPTOR.XATTR, (v) => v.setUint16(0, 4000, true)),
    kinds: ['xattr'],
  },
  {
    name: 'runs past the device',
    damage: (at) => at.editDescriptor(at.root('runs'), DESCRIPTOR.EXTENT_RLE, (v) => v.setUint32(4, 0xffff_ffff, true)),
    kinds: ['extents', 'not-reserved', 'shared-clusters'],
  },
  {
    name: 'runs in the metadata',
    damage: (at) => at.editDescriptor(at.root('runs'), DESCRIPTOR.EXTENT_RLE, (v) => v.setUint32(0, 0xffff_fff0, true)),
    kinds: ['extents', 'leak'],
  },
  {
    name: 'a table of another size',
    damage: (at) => at.editDescriptor(at.root('thin'), DESCRIPTOR.EXTENT_TABLE, (v) => v.setBigUint64(0, 5000n, true)),
    kinds: ['extents'],
  },
  {
    name: 'a table of absurd size',
    damage: (at) =>
      at.editDescriptor(at.root('thin'), DESCRIPTOR.EXTENT_TABLE, (v) => v.setBigUint64(0, 1n << 63n, true)),
    kinds: ['extents'],
  },
  {
    name: 'a table that names a page outside',
    damage: (at) => at.editDescriptor(at.root('thick'), DESCRIPTOR.EXTENT_TABLE, (v) => v.setUint32(8, 70_000, true)),
    kinds: ['extents'],
  },
  {
    name: 'a table that names a page twice',
    damage: (at) =>
      at.editDescriptor(at.root('thin'), DESCRIPTOR.EXTENT_TABLE, (v) => v.setUint32(16, v.getUint32(8, true), true)),
    kinds: ['extents'],
  },
  {
    name: 'an extent page with a wrong crc',
    damage: (at) => at.edit(at.extentPages('thick')[0], (v) => v.setUint8(30, 9), false),
    kinds: ['extents'],
  },
  {
    name: 'a blob where an extent page should be',
    damage: (at) =>
      at.editDescriptor(at.root('thick'), DESCRIPTOR.EXTENT_TABLE, (v) => v.setUint32(8, at.root('runs'), true)),
    kinds: ['extents', 'shared-page'],
  },
  {
    name: 'an extent page of other clusters',
    damage: (at) =>
      at.editDescriptor(at.extentPages('thick')[0], DESCRIPTOR.EXTENT_PAGE, (v) => v.setUint32(0, 512, true)),
    kinds: ['extents'],
  },
  {
    name: 'a cluster in the metadata',
    damage: (at) =>
      at.editDescriptor(at.extentPages('thick')[0], DESCRIPTOR.EXTENT_PAGE, (v) => v.setUint32(4, 0xffff, true)),
    kinds: ['extents', 'leak'],
  },
  {
    name: 'a cluster of two blobs',
    damage: (at) => shareCluster(at, 'thick', 'thin'),
    kinds: ['leak', 'shared-clusters'],
  },
  {
    name: 'a cluster that a blob has twice',
    damage: (at) =>
      at.editDescriptor(at.extentPages('thick')[0], DESCRIPTOR.EXTENT_PAGE, (v) =>
        v.setUint32(8, v.getUint32(4, true), true),
      ),
    kinds: ['leak', 'shared-clusters'],
  },
  {
    name: 'an extent page of two blobs',
    damage: (at) =>
      at.editDescriptor(at.root('thin'), DESCRIPTOR.EXTENT_TABLE, (v) =>
        v.setUint32(8, at.extentPages('thick')[0], true),
      ),
    kinds: ['leak', 'shared-clusters', 'shared-page'],
  },
  { name: 'a parent that is not there', damage: (at) => setParent(at, 'clone', (1n << 32n) + 60n), kinds: ['parent'] },
  { name: 'a parent that can be written', damage: (at) => setParent(at, 'clone', at.ids.thick), kinds: ['parent'] },
  { name: 'a parent that is its clone', damage: (at) => setParent(at, 'clone', at.ids.clone), kinds: ['parent'] },
  { name: 'a damaged parent', damage: (at) => at.link(at.root('parent'), 5000), kinds: ['chain', 'parent'] },
  { name: 'a parent id of other length', damage: (at) => spoilParent(at), kinds: ['xattr'] },
  {
    name: 'a page that is marked as free',
    damage: (at) => at.editMask('pageMask', (bits) => bits.fill(0)),
    kinds: ['not-reserved'],
  },
  {
    name: 'clusters that are marked as free',
    damage: (at) => at.editMask('clusterMask', (bits) => bits.fill(0)),
    kinds: ['not-reserved'],
  },
  { name: 'pages and clusters that nobody has', damage: (at) => leak(at), kinds: ['leak'] },
  {
    name: 'a blob that is not listed',
    damage: (at) => at.editMask('blobIdMask', (bits) => bits.fill(0)),
    kinds: ['unlisted-blob'],
  },
  {
    name: 'a root that is gone',
    damage: (at) => at.edit(at.root('thick'), (_, bytes) => bytes.fill(0), false),
    kinds: ['leak', 'lost-blob'],
  },
  {
    name: 'a mask of another type',
    damage: (at) => at.editMask('pageMask', (_, bytes) => bytes.fill(2, 0, 1)),
    kinds: ['mask'],
  },
  {
    name: 'a mask of another length',
    damage: (at) => at.editMask('clusterMask', (_, bytes) => bytes.fill(0, 1, 5)),
    kinds: ['mask'],
  },
  { name: 'a clean flag of 7', damage: (at) => at.editSuper((block) => (block.clean = 7)), kinds: ['super-block'] },
];

function shareCluster(at: DamagedStore, one: 'thick', other: 'thin'): void {
  const [extents] = descriptorsOf(at.page(at.extentPages(other)[0]));
  const cluster = extents.payload.getUint32(4, true);
  at.editDescriptor(at.extentPages(one)[0], DESCRIPTOR.EXTENT_PAGE, (v) => v.setUint32(4, cluster, true));
}

/** The value of the only internal xattr of a clone, SNAP. */
function setParent(at: DamagedStore, name: 'clone', id: bigint): void {
  at.editDescriptor(at.root(name), DESCRIPTOR.XATTR_INTERNAL, (v) => v.setBigUint64(v.byteLength - 8, id, true));
}

function spoilParent(at: DamagedStore): void {
  at.editDescriptor(at.root('clone'), DESCRIPTOR.XATTR_INTERNAL, (v) => {
    v.setUint16(0, 5, true);
    v.setUint16(2, 7, true);
    v.setUint8(8, 0);
  });
}

function leak(at: DamagedStore): void {
  for (const mask of ['pageMask', 'clusterMask'] as const) at.editMask(mask, (bits) => (bits[7] |= 0x18));
}

describe('check', () => {
  it('finds nothing wrong with a store in order', () => {
    const { outcome, findings, summary } = new DamagedStore().check();
    expect(findings).toEqual([]);
    expect(outcome).toBe('clean');
    expect(summary).toMatchObject({ blobCount: 6, usedClusters: 3 + 2 + 2 + 1 + 2 + 1, wasClean: true });
  });

  it.each(CASES.map((each) => [each.name, each] as const))('finds %s', (_, { damage, kinds }) => {
    const store = new DamagedStore();
    damage(store);
    const before = imageOf(store);
    expect(store.damage()).toEqual(kinds);
    const report = store.check();
    expect(report.outcome).toBe('left');
    for (const { message } of report.findings) expect(message).toMatch(/^\S.*[^.]$/);
    expect(imageOf(store).equals(before), 'a check without repair writes nothing').toBe(true);
  });
});

describe('a super block that describes no usable store', () => {
  it.each([
    ['no signature', (at: DamagedStore) => at.editSuper((_, bytes) => bytes.fill(0, 0, 8)), 'signature'],
    ['a wrong crc', (at: DamagedStore) => at.editSuper((_, bytes) => bytes.fill(9, 200, 201), false), 'crc'],
    ['a size past the device', (at: DamagedStore) => at.editSuper((block) => (block.sizeBytes *= 2)), 'cut'],
    ['clusters of no bytes', (at: DamagedStore) => at.editSuper((block) => (block.clusterBytes = 0)), 'clusters'],
    [
      'masks on the metadata',
      (at: DamagedStore) => at.editSuper((block) => (block.pageMask = block.metadata)),
      'lies where',
    ],
    ['no metadata', (at: DamagedStore) => at.editSuper((block) => (block.metadata = { start: 4, count: 0 })), 'region'],
  ])('%s', (_, damage, said) => {
    const store = new DamagedStore();
    damage(store);
    for (const repair of [false, true]) {
      const { outcome, findings } = store.check({ repair });
      expect(outcome).toBe('left');
      expect(findings.map(({ kind }) => kind)).toEqual(['super-block']);
      expect(findings[0].message).toContain(said);
    }
  });

  it('cannot be on a device that is smaller', () => {
    const device = new SparseMemoryDevice({ sizeBytes: 2048, blockLengthBytes: 512 });
    expect(runSync(checkStore(device)).findings.map(({ kind }) => kind)).toEqual(['super-block']);
  });
});

describe('what is worth knowing, and no damage', () => {
  it('is a store that was not closed', () => {
    const store = new DamagedStore();
    store.editSuper((block) => (block.clean = 0));
    const { outcome, findings, summary } = store.check();
    expect(outcome).toBe('clean');
    expect(findings.map(({ kind, severity }) => [kind, severity])).toEqual([['not-closed', 'note']]);
    expect(summary.wasClean).toBe(false);
  });

  it('is noise in a free page', () => {
    const store = new DamagedStore();
    store.edit(50, (_, bytes) => bytes.fill(0xab), false);
    expect(store.check()).toMatchObject({ outcome: 'clean', findings: [{ kind: 'page', severity: 'note', page: 50 }] });
    store.editSuper((block) => (block.clean = 0));
    expect(store.damage(), 'nobody knows that it is free').toEqual(['page']);
  });

  it('is a larger device', () => {
    const store = new DamagedStore();
    store.yard.memory.resize(70 * 256);
    expect(store.check().findings.map(({ kind }) => kind)).toEqual(['larger-device']);
    expect(store.check().outcome).toBe('clean');
  });

  it('is a super blob that was deleted', () => {
    const store = new DamagedStore();
    store.editSuper((block) => (block.superBlobId = (1n << 32n) + 40n));
    expect(store.check()).toMatchObject({ outcome: 'clean', findings: [{ kind: 'super-blob', severity: 'note' }] });
    store.editSuper((block) => (block.superBlobId = INVALID_BLOB_ID));
    expect(store.check().findings).toEqual([]);
  });

  it('is a snapshot that was being deleted', () => {
    const { yard, ids } = new DamagedStore();
    yard.load();
    yard.device.cutPowerAt(12);
    expect(() => yard.delete(ids.parent)).toThrow();
    yard.device.restorePower();
    yard.abandon();
    const { findings, outcome } = runSync(checkStore(yard.device));
    expect(outcome).toBe('clean');
    expect(findings.map(({ kind }) => kind).sort()).toEqual(['interrupted', 'not-closed']);
  });
});

function imageOf(store: DamagedStore): Buffer {
  return Buffer.from(store.yard.memory.bytes());
}
