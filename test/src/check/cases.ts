/** Each kind of damage to a store, and what a check then finds. */

import { DESCRIPTOR, descriptorsOf } from '../peer/raw-page.js';
import type { DamagedStore } from './damaged-store.js';

/** One kind of damage, and the kinds of findings that the check then has. */
export interface Case {
  name: string;
  damage: (store: DamagedStore) => void;
  kinds: string[];
  /** True: nothing is lost, so that a repair can undo all of the damage. */
  isRepaired?: boolean;
}

const FLAGS_INVALID_AT = 0;

export const CASES: readonly Case[] = [
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
    isRepaired: true,
  },
  {
    name: 'clusters that are marked as free',
    damage: (at) => at.editMask('clusterMask', (bits) => bits.fill(0)),
    kinds: ['not-reserved'],
    isRepaired: true,
  },
  { name: 'pages and clusters that nobody has', damage: leak, kinds: ['leak'], isRepaired: true },
  {
    name: 'a blob that is not listed',
    damage: (at) => at.editMask('blobIdMask', (bits) => bits.fill(0)),
    kinds: ['unlisted-blob'],
    isRepaired: true,
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
    isRepaired: true,
  },
  {
    name: 'a mask of another length',
    damage: (at) => at.editMask('clusterMask', (_, bytes) => bytes.fill(0, 1, 5)),
    kinds: ['mask'],
    isRepaired: true,
  },
  {
    name: 'a clean flag of 7',
    damage: (at) => at.editSuper((block) => (block.clean = 7)),
    kinds: ['super-block'],
    isRepaired: true,
  },
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
