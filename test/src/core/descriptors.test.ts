/** Each kind of descriptor, encoded and decoded. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DESCRIPTOR, descriptorsOf } from '../../../packages/core/dist/format/descriptor.js';
import {
  decodeExtentPage,
  encodeExtentPage,
  type ForEachCluster,
  isExtentPage,
} from '../../../packages/core/dist/format/extent-page.js';
import {
  decodeExtentRle,
  EXTENT_RLE_BYTES_MIN,
  encodeExtentRle,
} from '../../../packages/core/dist/format/extent-rle.js';
import {
  decodeExtentTable,
  EXTENT_TABLE_BYTES_MIN,
  encodeExtentTable,
} from '../../../packages/core/dist/format/extent-table.js';
import {
  type ClearMethod,
  clearMethodBits,
  clearMethodOf,
  decodeFlags,
  encodeFlags,
  FLAGS_DESCRIPTOR_BYTES,
} from '../../../packages/core/dist/format/flags.js';
import { DESCRIPTORS_AT, DESCRIPTORS_BYTES, MdPageView } from '../../../packages/core/dist/format/md-page.js';
import {
  decodeXattr,
  encodeXattr,
  XATTR_BYTES_MAX,
  XATTR_DESCRIPTOR_BYTES_MAX,
  xattrDescriptorBytes,
} from '../../../packages/core/dist/format/xattr.js';
import { blobId, clusterMap, extentPageNumbers, extentTableOf, flags, xattr } from './metadata-arbitraries.js';

const PAGE_END = DESCRIPTORS_AT + DESCRIPTORS_BYTES;

/** The descriptor of a page that has exactly one. */
function soleDescriptor(page: MdPageView) {
  const found = [...descriptorsOf(page.view)];
  expect(found).toHaveLength(1);
  expect(found[0].fits).toBe(true);
  return found[0];
}

describe('flags', () => {
  test('are decoded as they were encoded', () => {
    fc.assert(
      fc.property(flags, (written) => {
        const page = MdPageView.zeroed();
        encodeFlags(page.view, DESCRIPTORS_AT, written);
        const { type, payloadAt, payloadBytes } = soleDescriptor(page);
        expect(type).toBe(DESCRIPTOR.FLAGS);
        expect(payloadAt + payloadBytes).toBe(DESCRIPTORS_AT + FLAGS_DESCRIPTOR_BYTES);
        expect(decodeFlags(page.view, payloadAt, payloadBytes)).toEqual(written);
      }),
    );
  });

  test('are refused with any other length', () => {
    const { view } = MdPageView.zeroed();
    for (let bytes = 0; bytes < 64; bytes++) {
      expect(decodeFlags(view, DESCRIPTORS_AT, bytes) !== undefined).toBe(bytes === 24);
    }
  });

  test('hold each clear method, independently of the other bits', () => {
    const methods: ClearMethod[] = ['default', 'none', 'unmap', 'write_zeroes'];
    for (const method of methods) {
      expect(clearMethodOf(clearMethodBits(method))).toBe(method);
      expect(clearMethodOf(clearMethodBits(method) | 0xffff_ffff_ffff_fffcn)).toBe(method);
    }
  });
});

describe('an xattr', () => {
  test('is decoded as it was encoded, in both types', () => {
    fc.assert(
      fc.property(xattr, fc.boolean(), (written, internal) => {
        const page = MdPageView.zeroed();
        const bytes = encodeXattr(page.bytes, page.view, DESCRIPTORS_AT, written, internal);
        expect(bytes).toBe(xattrDescriptorBytes(written));
        const { type, payloadAt, payloadBytes } = soleDescriptor(page);
        expect(type).toBe(internal ? DESCRIPTOR.XATTR_INTERNAL : DESCRIPTOR.XATTR);
        expect(decodeXattr(page.bytes, page.view, payloadAt, payloadBytes)).toEqual(written);
      }),
    );
  });

  test('may fill a page to its last byte, and no more', () => {
    expect(XATTR_DESCRIPTOR_BYTES_MAX).toBe(4072);
    const page = MdPageView.zeroed();
    const largest = { name: 'n', value: new Uint8Array(XATTR_BYTES_MAX - 1).fill(0xa5) };
    expect(encodeXattr(page.bytes, page.view, DESCRIPTORS_AT, largest, false)).toBe(4072);
    const { payloadAt, payloadBytes } = soleDescriptor(page);
    expect(payloadAt + payloadBytes).toBe(PAGE_END);
    expect(decodeXattr(page.bytes, page.view, payloadAt, payloadBytes)).toEqual(largest);
  });

  test('keeps its decoded value when the page changes afterwards', () => {
    const page = MdPageView.zeroed();
    encodeXattr(page.bytes, page.view, DESCRIPTORS_AT, { name: 'a', value: Uint8Array.of(1, 2) }, false);
    const { payloadAt, payloadBytes } = soleDescriptor(page);
    const read = decodeXattr(page.bytes, page.view, payloadAt, payloadBytes);
    page.bytes.fill(0);
    expect(read?.value).toEqual(Uint8Array.of(1, 2));
  });

  test('ends its name at a zero byte, as a C string', () => {
    const page = MdPageView.zeroed();
    encodeXattr(page.bytes, page.view, DESCRIPTORS_AT, { name: 'ab\0c', value: Uint8Array.of(9) }, false);
    const { payloadAt, payloadBytes } = soleDescriptor(page);
    expect(decodeXattr(page.bytes, page.view, payloadAt, payloadBytes)).toEqual({
      name: 'ab',
      value: Uint8Array.of(9),
    });
  });

  test('is refused when its lengths do not add up', () => {
    fc.assert(
      fc.property(xattr, fc.integer({ min: -4, max: 4 }), (written, more) => {
        fc.pre(more !== 0);
        const page = MdPageView.zeroed();
        encodeXattr(page.bytes, page.view, DESCRIPTORS_AT, written, false);
        const { payloadAt, payloadBytes } = soleDescriptor(page);
        expect(decodeXattr(page.bytes, page.view, payloadAt, payloadBytes + more)).toBeUndefined();
      }),
    );
  });
});

describe('runs of clusters', () => {
  const place = fc.record({
    map: clusterMap(40, 6),
    at: fc.nat({ max: 3000 }),
    room: fc.integer({ min: EXTENT_RLE_BYTES_MIN, max: 1000 }),
  });

  test('are decoded to the map that was encoded, however little room a page has', () => {
    fc.assert(
      fc.property(place, ({ map, at, room }) => {
        const { view } = MdPageView.zeroed();
        const read: number[] = [];
        let next = 0;
        while (next < map.length) {
          const written = encodeExtentRle(view, DESCRIPTORS_AT + at, room, (index) => map[index], next, map.length);
          expect(written.bytes).toBeLessThanOrEqual(room);
          expect(written.nextCluster).toBeGreaterThan(next);
          expect(view.getUint8(DESCRIPTORS_AT + at)).toBe(DESCRIPTOR.EXTENT_RLE);
          const payloadBytes = view.getUint32(DESCRIPTORS_AT + at + 1, true);
          expect(payloadBytes).toBe(written.bytes - 5);
          for (const { first, length } of decodeExtentRle(view, DESCRIPTORS_AT + at + 5, payloadBytes) ?? []) {
            for (let index = 0; index < length; index++) read.push(first === 0 ? 0 : first + index);
          }
          expect(read).toHaveLength(written.nextCluster);
          next = written.nextCluster;
        }
        expect(read).toEqual(map);
      }),
    );
  });

  test('are the fewest possible', () => {
    const { view } = MdPageView.zeroed();
    const map = [0, 0, 0, 5, 6, 7, 9, 0, 1, 2];
    const { bytes } = encodeExtentRle(view, DESCRIPTORS_AT, 1000, (index) => map[index], 0, map.length);
    expect(decodeExtentRle(view, DESCRIPTORS_AT + 5, bytes - 5)).toEqual([
      { first: 0, length: 3 },
      { first: 5, length: 3 },
      { first: 9, length: 1 },
      { first: 0, length: 1 },
      { first: 1, length: 2 },
    ]);
  });

  test('of 2^32 - 1 clusters fit into one entry', () => {
    const { view } = MdPageView.zeroed();
    view.setUint32(DESCRIPTORS_AT + 4, 0xffff_ffff, true);
    expect(decodeExtentRle(view, DESCRIPTORS_AT, 8)).toEqual([{ first: 0, length: 0xffff_ffff }]);
  });

  test('are refused if the last entry is not whole', () => {
    const { view } = MdPageView.zeroed();
    for (let bytes = 0; bytes < 64; bytes++) {
      expect(decodeExtentRle(view, DESCRIPTORS_AT, bytes)?.length).toBe(
        bytes > 0 && bytes % 8 === 0 ? bytes / 8 : undefined,
      );
    }
  });
});

describe('an extent table', () => {
  const place = fc.record({
    pages: extentPageNumbers(40, 6),
    clusterCount: fc.nat({ max: 0xffff_ffff }),
    room: fc.integer({ min: EXTENT_TABLE_BYTES_MIN + 8, max: 1000 }),
  });

  test('is decoded as it was encoded, however little room a page has', () => {
    fc.assert(
      fc.property(place, ({ pages, clusterCount, room }) => {
        const { view } = MdPageView.zeroed();
        const entries = extentTableOf(pages);
        const read: number[] = [];
        let next = 0;
        do {
          const written = encodeExtentTable(view, DESCRIPTORS_AT, room, clusterCount, entries, next);
          expect(written.bytes).toBeLessThanOrEqual(room);
          const table = decodeExtentTable(view, DESCRIPTORS_AT + 5, view.getUint32(DESCRIPTORS_AT + 1, true));
          expect(table?.clusterCount).toBe(clusterCount);
          for (const { page, count } of table?.entries ?? []) read.push(...Array.from({ length: count }, () => page));
          next = written.nextEntry;
        } while (next < entries.length);
        expect(read).toEqual(pages);
      }),
    );
  });

  test('without entries has 13 bytes', () => {
    const { view } = MdPageView.zeroed();
    expect(encodeExtentTable(view, DESCRIPTORS_AT, EXTENT_TABLE_BYTES_MIN, 0, [], 0)).toEqual({
      bytes: 13,
      nextEntry: 0,
    });
    expect(decodeExtentTable(view, DESCRIPTORS_AT + 5, 8)).toEqual({ clusterCount: 0, entries: [] });
  });

  test('gets no entry in a page that has too little room for one', () => {
    const { view } = MdPageView.zeroed();
    const written = encodeExtentTable(view, DESCRIPTORS_AT, EXTENT_TABLE_BYTES_MIN + 7, 600, extentTableOf([3, 4]), 0);
    expect(written).toEqual({ bytes: 13, nextEntry: 0 });
  });

  test('is refused if an entry repeats an extent page', () => {
    const { view } = MdPageView.zeroed();
    encodeExtentTable(view, DESCRIPTORS_AT, 100, 600, extentTableOf([3]), 0);
    view.setUint32(DESCRIPTORS_AT + 5 + 8 + 4, 2, true);
    expect(decodeExtentTable(view, DESCRIPTORS_AT + 5, 16)).toBeUndefined();
  });

  test('is decoded with an infinite number of clusters, which no store has, if it says more than 2^32 - 1', () => {
    const { view } = MdPageView.zeroed();
    view.setBigUint64(DESCRIPTORS_AT, 0xffff_ffffn, true);
    expect(decodeExtentTable(view, DESCRIPTORS_AT, 8)?.clusterCount).toBe(0xffff_ffff);
    view.setBigUint64(DESCRIPTORS_AT, 0x1_0000_0000n, true);
    expect(decodeExtentTable(view, DESCRIPTORS_AT, 8)?.clusterCount).toBe(Number.POSITIVE_INFINITY);
  });

  test('is refused if its last entry is not whole', () => {
    const { view } = MdPageView.zeroed();
    for (let bytes = 0; bytes < 64; bytes++) {
      const table = decodeExtentTable(view, DESCRIPTORS_AT, bytes);
      expect(table?.entries.length).toBe(bytes >= 8 && bytes % 8 === 0 ? bytes / 8 - 1 : undefined);
    }
  });
});

/** Visits the clusters that a function maps to a number other than 0. */
function allocatedOf(clusterAt: (cluster: number) => number): ForEachCluster {
  return (visit, start, end) => {
    for (let cluster = start; cluster < end; cluster++)
      if (clusterAt(cluster) !== 0) visit(clusterAt(cluster), cluster);
  };
}

describe('an extent page', () => {
  const contents = fc.record({ id: blobId, index: fc.nat({ max: 4 }), map: clusterMap(60, 40) });

  test('maps its 512 clusters, or those up to the end of the blob', () => {
    fc.assert(
      fc.property(contents, ({ id, index, map }) => {
        const page = encodeExtentPage(
          id,
          index,
          map.length,
          allocatedOf((cluster) => map[cluster]),
        );
        const expected = map.slice(index * 512, (index + 1) * 512);
        expect([page.isSealed, page.id, page.sequence, page.next]).toEqual([true, id, 0, 0xffff_ffff]);
        expect(isExtentPage(page)).toBe(true);
        const { type, payloadAt, payloadBytes } = soleDescriptor(page);
        expect(type).toBe(DESCRIPTOR.EXTENT_PAGE);
        const read = decodeExtentPage(page.view, payloadAt, payloadBytes);
        expect(read?.startCluster).toBe(expected.length === 0 ? undefined : index * 512);
        expect(Array.from({ length: read?.clusterCount ?? 0 }, (_, at) => read?.clusterAt(at))).toEqual(expected);
      }),
    );
  });

  test('that the blob fills has 512 entries, and zeroes after them', () => {
    const page = encodeExtentPage(
      1n << 32n,
      1,
      1024,
      allocatedOf((cluster) => cluster + 1),
    );
    const { payloadAt, payloadBytes } = soleDescriptor(page);
    expect(payloadBytes).toBe(4 + 512 * 4);
    expect(decodeExtentPage(page.view, payloadAt, payloadBytes)?.clusterAt(511)).toBe(1024);
    expect(page.bytes.subarray(payloadAt + payloadBytes, PAGE_END).every((byte) => byte === 0)).toBe(true);
  });

  test('is recognised by its crc, its sequence number and its only descriptor', () => {
    const made = () =>
      encodeExtentPage(
        1n << 32n,
        0,
        3,
        allocatedOf(() => 7),
      );
    const changes: ((page: MdPageView) => void)[] = [
      (page) => page.view.setUint32(8, 1, true),
      (page) => page.view.setUint8(DESCRIPTORS_AT, DESCRIPTOR.XATTR),
      (page) => page.view.setUint32(DESCRIPTORS_AT + 1, DESCRIPTORS_BYTES - 4, true),
      (page) => page.view.setUint32(DESCRIPTORS_AT + 5 + 16 + 1, 4, true),
    ];
    for (const change of changes) {
      const page = made();
      change(page);
      page.seal();
      expect(isExtentPage(page)).toBe(false);
    }
    const unsealed = made();
    unsealed.bytes[4000] ^= 1;
    expect(isExtentPage(unsealed)).toBe(false);
    expect(isExtentPage(made())).toBe(true);
  });
});
