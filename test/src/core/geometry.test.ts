/** Conversions between units, for any geometry that a store can have, up to addresses of 64 TiB. */

import {
  type BlobCluster,
  blobIdOfPage,
  type DeviceCluster,
  divideRoundUp,
  Geometry,
  InvariantError,
  type MdPage,
  PAGE_BYTES,
  pageOfBlobId,
} from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { GeometryFields } from '../../../packages/core/dist/units/geometry.js';

const TIB = 2 ** 40;
const BYTES_MAX = 64 * TIB;

/** Cluster sizes of any whole number of pages, and more often the sizes that are used in practice. */
const clusterBytes = fc.oneof(
  fc.constantFrom(4096, 8192, 12_288, 1 << 20, 3 << 20, 4 << 20, 1 << 30, 0xffff_f000),
  fc.integer({ min: 1, max: 0xffff_f000 / PAGE_BYTES }).map((pages) => pages * PAGE_BYTES),
);
const fields: fc.Arbitrary<GeometryFields> = fc
  .record({
    ioUnitBytes: fc.constantFrom(512, 1024, 2048, 4096),
    blocksPerIoUnit: fc.constantFrom(1, 2, 4, 8),
    clusterBytes,
    mdStartPage: fc.integer({ min: 1, max: 1 << 20 }),
    mdPageCount: fc.integer({ min: 1, max: 0xffff_ffff }),
  })
  .filter(({ ioUnitBytes, blocksPerIoUnit }) => ioUnitBytes / blocksPerIoUnit >= 512)
  .map(({ blocksPerIoUnit, ...rest }) => ({ ...rest, blockLengthBytes: rest.ioUnitBytes / blocksPerIoUnit }));
const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

test('the units of a geometry divide each other without a rest', () => {
  fc.assert(
    fc.property(fields, (given) => {
      const geometry = new Geometry(given);
      expect(geometry.blocksPerCluster * geometry.blockLengthBytes).toBe(given.clusterBytes);
      expect(geometry.blocksPerPage * geometry.blockLengthBytes).toBe(PAGE_BYTES);
      expect(geometry.blocksPerIoUnit * geometry.blockLengthBytes).toBe(given.ioUnitBytes);
      expect(geometry.pagesPerCluster * PAGE_BYTES).toBe(given.clusterBytes);
      expect(geometry.ioUnitsPerCluster * given.ioUnitBytes).toBe(given.clusterBytes);
      expect(geometry.ioUnitsPerPage * given.ioUnitBytes).toBe(PAGE_BYTES);
    }),
  );
});

test('an io unit lies in the cluster that begins at or before it, and in no other', () => {
  fc.assert(
    fc.property(fields, fraction, (given, where) => {
      const geometry = new Geometry(given);
      const ioUnit = Math.floor(where * (BYTES_MAX / given.ioUnitBytes));
      const cluster = geometry.ioUnitToCluster(ioUnit);
      expect(BigInt(cluster)).toBe(BigInt(ioUnit) / BigInt(geometry.ioUnitsPerCluster));
      const first = geometry.clusterToIoUnit(cluster);
      expect(first).toBeLessThanOrEqual(ioUnit);
      expect(first + geometry.ioUnitsPerCluster).toBeGreaterThan(ioUnit);
    }),
    { numRuns: 1000 },
  );
});

test('the first and the last io unit of a cluster are converted back to it', () => {
  fc.assert(
    fc.property(fields, fraction, (given, where) => {
      const geometry = new Geometry(given);
      const cluster = Math.floor(where * Math.floor(BYTES_MAX / given.clusterBytes)) as BlobCluster;
      const first = geometry.clusterToIoUnit(cluster);
      expect(geometry.ioUnitToCluster(first)).toBe(cluster);
      expect(geometry.ioUnitToCluster(first + geometry.ioUnitsPerCluster - 1)).toBe(cluster);
      expect(geometry.ioUnitToCluster(first + geometry.ioUnitsPerCluster)).toBe(cluster + 1);
    }),
    { numRuns: 1000 },
  );
});

test('addresses on the device are exact up to 64 TiB', () => {
  fc.assert(
    fc.property(fields, fraction, (given, where) => {
      const geometry = new Geometry(given);
      const cluster = Math.floor(where * Math.floor(BYTES_MAX / given.clusterBytes)) as DeviceCluster;
      const lba = geometry.clusterToLba(cluster);
      expect(Number.isSafeInteger(lba)).toBe(true);
      expect(BigInt(lba) * BigInt(given.blockLengthBytes)).toBe(BigInt(cluster) * BigInt(given.clusterBytes));
      const page = Math.floor(where * given.mdPageCount) as MdPage;
      const mdLba = geometry.mdPageToLba(page);
      expect(BigInt(mdLba) * BigInt(given.blockLengthBytes)).toBe(
        BigInt(given.mdStartPage + page) * BigInt(PAGE_BYTES),
      );
      expect(geometry.pageToLba(given.mdStartPage + page)).toBe(mdLba);
    }),
    { numRuns: 1000 },
  );
});

test('the metadata takes as many whole clusters as it touches', () => {
  fc.assert(
    fc.property(fields, (given) => {
      const geometry = new Geometry(given);
      const bytes = BigInt(given.mdStartPage + given.mdPageCount) * BigInt(PAGE_BYTES);
      const size = BigInt(given.clusterBytes);
      expect(BigInt(geometry.metadataClusterCount())).toBe((bytes + size - 1n) / size);
    }),
  );
});

test('units that do not divide each other are refused', () => {
  const good = { blockLengthBytes: 512, ioUnitBytes: 4096, clusterBytes: 1 << 20, mdStartPage: 3, mdPageCount: 8 };
  expect(() => new Geometry(good)).not.toThrow();
  const bad: Partial<GeometryFields>[] = [
    { blockLengthBytes: 520 },
    { blockLengthBytes: 8192 },
    { ioUnitBytes: 3000 },
    { ioUnitBytes: 512, blockLengthBytes: 4096 },
    { clusterBytes: 2048 },
    { clusterBytes: 4096 + 512 },
    { clusterBytes: 0 },
  ];
  for (const change of bad) expect(() => new Geometry({ ...good, ...change })).toThrow(InvariantError);
});

test('a blob id is converted to its page, and a page to its blob id', () => {
  fc.assert(
    fc.property(fc.nat({ max: 0xffff_fffe }), (page) => {
      const id = blobIdOfPage(page as MdPage);
      expect(id).toBe((1n << 32n) + BigInt(page));
      expect(pageOfBlobId(id)).toBe(page);
    }),
  );
});

test('a division that rounds up returns the least number of parts that hold the value', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      (value, divisor) => {
        fc.pre(value < 2 ** 52);
        const parts = BigInt(divideRoundUp(value, divisor));
        expect(parts).toBe((BigInt(value) + BigInt(divisor) - 1n) / BigInt(divisor));
      },
    ),
    { numRuns: 1000 },
  );
});
