/** fast-check arbitraries for the parts of a blob's metadata. */

import type { MdPage } from '@blobyard/core';
import fc from 'fast-check';
import type { ExtentTableEntry } from '../../../packages/core/dist/format/extent-table.js';
import type { BlobFlags } from '../../../packages/core/dist/format/flags.js';
import { XATTR_BYTES_MAX, type Xattr } from '../../../packages/core/dist/format/xattr.js';

export const u32 = fc.nat({ max: 0xffff_ffff });
export const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
export const blobId = fc.nat({ max: 0xffff_fffe }).map((page) => (1n << 32n) + BigInt(page));

export const flags: fc.Arbitrary<BlobFlags> = fc.record({ invalid: u64, dataRo: u64, mdRo: u64 });

/** Names of 0 to `max` characters, each of which stands for a byte other than zero. */
function xattrName(max: number): fc.Arbitrary<string> {
  return fc
    .array(fc.integer({ min: 1, max: 255 }), { maxLength: max, size: 'max' })
    .map((bytes) => String.fromCharCode(...bytes));
}

/** Xattrs that are mostly small, and sometimes as large as a page can hold. */
export const xattr: fc.Arbitrary<Xattr> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ name: xattrName(24), value: fc.uint8Array({ maxLength: 64 }) }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(xattrName(255), fc.nat({ max: XATTR_BYTES_MAX }), fc.nat({ max: 255 }))
      .map(([name, bytes, fill]) => ({ name, value: new Uint8Array(Math.max(0, bytes - name.length)).fill(fill) })),
  },
);

export const xattrs = fc
  .array(xattr, { maxLength: 12, size: 'max' })
  .map((list) => list.filter((one, at) => list.findIndex((other) => other.name === one.name) === at));

/**
 * A cluster map as blobs have it: runs without clusters, runs of neighbours, and clusters at any places.
 * @param runsMax - the greatest number of runs
 * @param runMax - the greatest number of clusters in a run
 */
export function clusterMap(runsMax: number, runMax: number): fc.Arbitrary<number[]> {
  const run = fc
    .record({
      kind: fc.constantFrom('hole', 'sequence', 'scattered'),
      first: fc.integer({ min: 1, max: 0xffff_0000 }),
      length: fc.integer({ min: 1, max: runMax }),
    })
    .map(({ kind, first, length }) => {
      const step = kind === 'sequence' ? 1 : 7;
      return Array.from({ length }, (_, at) => (kind === 'hole' ? 0 : first + at * step));
    });
  return fc.array(run, { maxLength: runsMax, size: 'max' }).map((runs) => runs.flat());
}

/** The page numbers of a blob's extent pages, in runs; 0 for a missing page. */
export function extentPageNumbers(runsMax: number, runMax: number): fc.Arbitrary<number[]> {
  return clusterMap(runsMax, runMax);
}

/** The entries of the extent table for these page numbers; 0 stands for an extent page that is not allocated. */
export function extentTableOf(pages: readonly number[]): ExtentTableEntry[] {
  const entries: ExtentTableEntry[] = [];
  for (const page of pages) {
    const last = entries.at(-1);
    if (page === 0 && last?.page === 0) last.count++;
    else entries.push({ page: page as MdPage, count: 1 });
  }
  return entries;
}
