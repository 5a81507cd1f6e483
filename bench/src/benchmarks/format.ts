/** The codecs of the metadata region, in memory. The baselines are the least that a codec must do. */

import zlib from 'node:zlib';
import { crc32c } from '@blobyard/core';
import { type ChainContent, encodeChain, sealChain } from '../../../packages/core/dist/format/blob-chain.js';
import { DESCRIPTOR, descriptorsOf } from '../../../packages/core/dist/format/descriptor.js';
import { decodeExtentTable } from '../../../packages/core/dist/format/extent-table.js';
import { decodeFlags } from '../../../packages/core/dist/format/flags.js';
import { MdPageView, pageCrc } from '../../../packages/core/dist/format/md-page.js';
import { decodeXattr } from '../../../packages/core/dist/format/xattr.js';
import { blobIdOfPage, type MdPage, PAGE_BYTES } from '../../../packages/core/dist/units/units.js';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { sized } from '../fixtures.js';
import { fillRandomly, fold } from '../random.js';

/** The number of bytes of a page that its crc covers. */
const CRC_BYTES = PAGE_BYTES - 4;
const PAGES = 256;
const PAGES_SMOKE = 16;

export const FORMAT: readonly Benchmark[] = [
  {
    name: 'md-page-encode',
    operation: 'a metadata page with two xattrs and an extent table of 8, sealed',
    baseline: 'a new page and its crc',
    bytesPerOperation: PAGE_BYTES,
    prepare: prepareEncode,
  },
  {
    name: 'md-page-decode',
    operation: 'checking the same page, and decoding all its descriptors',
    baseline: 'its crc',
    bytesPerOperation: PAGE_BYTES,
    prepare: prepareDecode,
  },
  {
    name: 'crc32c-4k',
    operation: 'CRC-32C of 4 KiB of random bytes; the baseline is the native CRC-32, another polynomial',
    baseline: 'zlib.crc32 (native)',
    bytesPerOperation: PAGE_BYTES,
    prepare: prepareCrc,
  },
];

/** The metadata of a blob with 4000 clusters, in page `number`. */
function contentOf(number: number): ChainContent {
  const name = new Uint8Array(16);
  const value = new Uint8Array(64);
  fillRandomly(value, number + 1);
  return {
    id: blobIdOfPage(number as MdPage),
    flags: { invalid: 1n, dataRo: 0n, mdRo: 0n },
    xattrs: [
      { name: 'name', value: name },
      { name: 'owner', value },
    ],
    internalXattrs: [],
    clusterCount: 4000,
    extentTable: Array.from({ length: 8 }, (_, index) => ({ page: (1000 + 2 * index) as MdPage, count: 1 })),
    clusterAt: () => 0,
  };
}

function encode(content: ChainContent, number: number): MdPageView {
  const pages = encodeChain(content);
  sealChain(pages, [number as MdPage]);
  return pages[0];
}

function prepareEncode(scale: Scale): Workload {
  const count = sized(scale, PAGES, PAGES_SMOKE);
  const contents = Array.from({ length: count }, (_, number) => contentOf(number));
  const run = () => {
    let sum = 0;
    for (let number = 0; number < count; number++) sum = fold(sum, encode(contents[number], number).crc);
    return sum;
  };
  const bare = () => {
    let sum = 0;
    for (let number = 0; number < count; number++) sum = fold(sum, pageCrc(new Uint8Array(PAGE_BYTES)));
    return sum;
  };
  return { operationsPerCall: count, subject: { run }, baseline: { run: bare } };
}

function prepareDecode(scale: Scale): Workload {
  const count = sized(scale, PAGES, PAGES_SMOKE);
  const region = new Uint8Array(count * PAGE_BYTES);
  for (let number = 0; number < count; number++)
    region.set(encode(contentOf(number), number).bytes, number * PAGE_BYTES);
  const run = () => {
    let sum = 0;
    for (let number = 0; number < count; number++) sum = fold(sum, decode(new MdPageView(region, number * PAGE_BYTES)));
    return sum;
  };
  return { operationsPerCall: count, subject: { run }, baseline: crcSide(region, count, CRC_BYTES) };
}

/** Decodes all descriptors of a page. Returns a checksum that depends on each. */
function decode(page: MdPageView): number {
  if (!page.isSealed) throw new Error('the crc of a page is wrong');
  let found = page.sequence + page.next;
  for (const { type, payloadAt, payloadBytes } of descriptorsOf(page.view)) {
    switch (type) {
      case DESCRIPTOR.FLAGS:
        found += Number(decodeFlags(page.view, payloadAt, payloadBytes)?.invalid);
        break;
      case DESCRIPTOR.XATTR:
        found += decodeXattr(page.bytes, page.view, payloadAt, payloadBytes)?.value.at(0) ?? Number.NaN;
        break;
      case DESCRIPTOR.EXTENT_TABLE:
        found += decodeExtentTable(page.view, payloadAt, payloadBytes)?.entries.length ?? Number.NaN;
        break;
      default:
        throw new Error(`a page holds a descriptor of type ${type}`);
    }
  }
  if (!Number.isSafeInteger(found)) throw new Error('a descriptor could not be decoded');
  return found;
}

/** @param byteCount - bytes of each page that the crc covers */
function crcSide(region: Uint8Array, count: number, byteCount: number): Side {
  const run = () => {
    let sum = 0;
    for (let number = 0; number < count; number++) {
      sum = fold(sum, crc32c(region, number * PAGE_BYTES, byteCount));
    }
    return sum;
  };
  return { run };
}

function prepareCrc(scale: Scale): Workload {
  const count = sized(scale, PAGES, PAGES_SMOKE);
  const region = new Uint8Array(count * PAGE_BYTES);
  fillRandomly(region);
  const native = typeof zlib.crc32 === 'function' ? zlib.crc32 : undefined; // from Node 20.15 and 22.2 on
  const pages = Array.from({ length: count }, (_, number) =>
    region.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES),
  );
  const run = () => {
    let sum = 0;
    for (const page of pages) sum = fold(sum, native?.(page) ?? 0);
    return sum;
  };
  return { operationsPerCall: count, subject: crcSide(region, count, PAGE_BYTES), baseline: native && { run } };
}
