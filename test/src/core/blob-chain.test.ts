/** A blob's metadata as a chain of pages, written and parsed back page by page. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ChainContent, encodeChain, sealChain } from '../../../packages/core/dist/format/blob-chain.js';
import { DESCRIPTOR, descriptorsOf } from '../../../packages/core/dist/format/descriptor.js';
import { decodeExtentRle } from '../../../packages/core/dist/format/extent-rle.js';
import { decodeExtentTable } from '../../../packages/core/dist/format/extent-table.js';
import { type BlobFlags, decodeFlags } from '../../../packages/core/dist/format/flags.js';
import type { MdPageView } from '../../../packages/core/dist/format/md-page.js';
import { decodeXattr, XATTR_BYTES_MAX, type Xattr } from '../../../packages/core/dist/format/xattr.js';
import type { MdPage } from '../../../packages/core/dist/units/units.js';
import { blobId, clusterMap, extentPageNumbers, extentTableOf, flags, xattrs } from './metadata-arbitraries.js';

const NO_FLAGS: BlobFlags = { invalid: 0n, dataRo: 0n, mdRo: 0n };

/** The metadata of a blob, combined from the descriptors of its chain. */
interface Parsed {
  flags: BlobFlags | undefined;
  xattrs: (Xattr | undefined)[];
  internalXattrs: (Xattr | undefined)[];
  clusters: number[];
  /** The number of the blob's clusters according to each extent table descriptor. */
  tableClusterCounts: number[];
  extentPages: number[];
  types: number[];
}

function parse(pages: readonly MdPageView[]): Parsed {
  const parsed: Parsed = {
    flags: undefined,
    xattrs: [],
    internalXattrs: [],
    clusters: [],
    tableClusterCounts: [],
    extentPages: [],
    types: [],
  };
  for (const page of pages) {
    for (const descriptor of descriptorsOf(page.view)) {
      expect(descriptor.fits).toBe(true);
      parsed.types.push(descriptor.type);
      parseDescriptor(page, descriptor.type, descriptor.payloadAt, descriptor.payloadBytes, parsed);
    }
  }
  return parsed;
}

function parseDescriptor(page: MdPageView, type: number, at: number, bytes: number, parsed: Parsed): void {
  const { view } = page;
  if (type === DESCRIPTOR.FLAGS) parsed.flags = decodeFlags(view, at, bytes);
  else if (type === DESCRIPTOR.XATTR) parsed.xattrs.push(decodeXattr(page.bytes, view, at, bytes));
  else if (type === DESCRIPTOR.XATTR_INTERNAL) parsed.internalXattrs.push(decodeXattr(page.bytes, view, at, bytes));
  else if (type === DESCRIPTOR.EXTENT_RLE) {
    for (const { first, length } of decodeExtentRle(view, at, bytes) ?? []) {
      for (let index = 0; index < length; index++) parsed.clusters.push(first === 0 ? 0 : first + index);
    }
  } else if (type === DESCRIPTOR.EXTENT_TABLE) {
    const table = decodeExtentTable(view, at, bytes);
    parsed.tableClusterCounts.push(table?.clusterCount ?? -1);
    for (const { page: number, count } of table?.entries ?? []) {
      for (let index = 0; index < count; index++) parsed.extentPages.push(number);
    }
  }
}

/** The page numbers of a chain: the first one is that of the blob's id, the others are not in ascending order. */
function numbersFor(id: bigint, pageCount: number): MdPage[] {
  const first = Number(id & 0xffff_ffffn);
  return Array.from({ length: pageCount }, (_, index) => (index === 0 ? first : 1_000_000 - index * 3) as MdPage);
}

/** Expects equal xattrs. Values are compared as buffers, which is a hundred times faster than `toEqual`. */
function expectXattrs(found: readonly (Xattr | undefined)[], wanted: readonly Xattr[]): void {
  expect(found.map((xattr) => xattr?.name)).toEqual(wanted.map((xattr) => xattr.name));
  wanted.forEach(({ value }, index) => {
    expect(Buffer.compare(found[index]?.value ?? new Uint8Array(0), value)).toBe(0);
  });
}

/** Seals a chain, checks its frames and links, and parses it. */
function sealAndParse(content: ChainContent): { pages: MdPageView[]; parsed: Parsed } {
  const pages = encodeChain(content);
  const numbers = numbersFor(content.id, pages.length);
  sealChain(pages, numbers);
  pages.forEach((page, index) => {
    const next = index + 1 < pages.length ? numbers[index + 1] : 0xffff_ffff;
    expect([page.isSealed, page.id, page.sequence, page.next]).toEqual([true, content.id, index, next]);
  });
  return { pages, parsed: parse(pages) };
}

const described = { id: blobId, flags, xattrs, internalXattrs: xattrs };

test('a chain with runs of clusters is parsed as it was written', () => {
  fc.assert(
    fc.property(fc.record({ ...described, map: clusterMap(700, 3) }), ({ map, ...rest }) => {
      const content = {
        ...rest,
        clusterCount: map.length,
        extentTable: undefined,
        clusterAt: (index: number) => map[index],
      };
      const { parsed } = sealAndParse(content);
      expect(parsed.flags).toEqual(rest.flags);
      expectXattrs(parsed.xattrs, rest.xattrs);
      expectXattrs(parsed.internalXattrs, rest.internalXattrs);
      expect(parsed.clusters).toEqual(map);
      expect(parsed.tableClusterCounts).toEqual([]);
    }),
  );
});

test('a chain with an extent table is parsed as it was written; each part of the table has the blob’s size', () => {
  const contents = fc.record({ ...described, extentPages: extentPageNumbers(700, 3), past: fc.nat({ max: 511 }) });
  fc.assert(
    fc.property(contents, ({ extentPages, past, ...rest }) => {
      const clusterCount = Math.max(0, extentPages.length * 512 - past);
      const { parsed } = sealAndParse({
        ...rest,
        clusterCount,
        extentTable: extentTableOf(extentPages),
        clusterAt: () => 0,
      });
      expect(parsed.flags).toEqual(rest.flags);
      expectXattrs(parsed.xattrs, rest.xattrs);
      expectXattrs(parsed.internalXattrs, rest.internalXattrs);
      expect(parsed.extentPages).toEqual(extentPages);
      expect(parsed.clusters).toEqual([]);
      expect(new Set(parsed.tableClusterCounts).size).toBeLessThanOrEqual(1);
      if (extentPages.length > 0) expect(parsed.tableClusterCounts[0]).toBe(clusterCount);
    }),
  );
});

test('flags come first, then xattrs, internal xattrs, and the clusters', () => {
  const value = Uint8Array.of(1);
  const { parsed } = sealAndParse({
    id: 1n << 32n,
    flags: NO_FLAGS,
    xattrs: [{ name: 'a', value }],
    internalXattrs: [{ name: 'SNAP', value }],
    clusterCount: 600,
    extentTable: extentTableOf([0, 9]),
    clusterAt: () => 0,
  });
  expect(parsed.types).toEqual([
    DESCRIPTOR.FLAGS,
    DESCRIPTOR.XATTR,
    DESCRIPTOR.XATTR_INTERNAL,
    DESCRIPTOR.EXTENT_TABLE,
  ]);
});

test('xattrs that fill a page take one page each', () => {
  const names = Array.from({ length: 100 }, (_, index) => `name-${index}`);
  const large = names.map((name, index) => ({
    name,
    value: new Uint8Array(XATTR_BYTES_MAX - name.length).fill(index),
  }));
  const { pages, parsed } = sealAndParse({
    id: 5n + (1n << 32n),
    flags: NO_FLAGS,
    xattrs: large,
    internalXattrs: [],
    clusterCount: 1,
    extentTable: extentTableOf([77]),
    clusterAt: () => 0,
  });
  expect(pages).toHaveLength(102); // the flags, the xattrs, the extent table
  expectXattrs(parsed.xattrs, large);
  expect(parsed.extentPages).toEqual([77]);
});

test('a map of runs of one cluster takes many pages', () => {
  const map = Array.from({ length: 20_000 }, (_, index) => 1 + 2 * index);
  const { pages, parsed } = sealAndParse({
    id: 1n << 32n,
    flags: NO_FLAGS,
    xattrs: [],
    internalXattrs: [],
    clusterCount: map.length,
    extentTable: undefined,
    clusterAt: (index) => map[index],
  });
  expect(pages.length).toBeGreaterThan(39); // a page has room for 508 runs
  expect(parsed.clusters).toEqual(map);
});

test('an empty blob has a table without entries, or no runs at all', () => {
  const empty = { id: 1n << 32n, flags: NO_FLAGS, xattrs: [], internalXattrs: [], clusterCount: 0, clusterAt: () => 0 };
  expect(sealAndParse({ ...empty, extentTable: [] }).parsed.tableClusterCounts).toEqual([0]);
  expect(sealAndParse({ ...empty, extentTable: undefined }).parsed.types).toEqual([DESCRIPTOR.FLAGS]);
});

test('an empty table is left out where an xattr leaves no room for it, as the reference does', () => {
  const empty = {
    id: 1n << 32n,
    flags: NO_FLAGS,
    internalXattrs: [],
    clusterCount: 0,
    extentTable: [],
    clusterAt: () => 0,
  };
  for (let left = 0; left < 20; left++) {
    const value = new Uint8Array(XATTR_BYTES_MAX - 1 - left);
    const { pages, parsed } = sealAndParse({ ...empty, xattrs: [{ name: 'x', value }] });
    expect(pages).toHaveLength(2);
    expect(parsed.tableClusterCounts).toEqual(left < 13 ? [] : [0]);
  }
});
