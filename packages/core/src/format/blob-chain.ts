/**
 * Encodes a blob's metadata as a chain of pages: flags, xattrs, internal xattrs, then the extent table or the runs of
 * clusters. No descriptor spans two pages; a list that does not fit continues in another descriptor on the next page.
 */

import { assert } from '../units/error.js';
import type { BlobId, MdPage } from '../units/units.js';
import { EXTENT_RLE_BYTES_MIN, encodeExtentRle } from './extent-rle.js';
import { EXTENT_TABLE_BYTES_MIN, type ExtentTableEntry, encodeExtentTable } from './extent-table.js';
import { type BlobFlags, encodeFlags, FLAGS_DESCRIPTOR_BYTES } from './flags.js';
import { DESCRIPTORS_AT, DESCRIPTORS_BYTES, MdPageView } from './md-page.js';
import { encodeXattr, type Xattr, xattrDescriptorBytes } from './xattr.js';

/** The content of a chain. */
export interface ChainContent {
  id: BlobId;
  flags: BlobFlags;
  xattrs: readonly Xattr[];
  internalXattrs: readonly Xattr[];
  clusterCount: number;
  /** The extent table of a blob that has one. Undefined for other blobs: their clusters are written as runs. */
  extentTable: readonly ExtentTableEntry[] | undefined;
  /** The device cluster of the blob's cluster `index`, or 0. */
  clusterAt(index: number): number;
}

/**
 * Returns the pages of a chain, still without links and crcs; `sealChain` adds them.
 * @param newPage - returns a page of zeroes
 */
export function encodeChain(content: ChainContent, newPage: () => MdPageView = MdPageView.zeroed): MdPageView[] {
  const chain = new ChainWriter(content.id, newPage);
  chain.reserve(FLAGS_DESCRIPTOR_BYTES);
  encodeFlags(chain.page.view, chain.at, content.flags);
  chain.advance(FLAGS_DESCRIPTOR_BYTES);
  writeXattrs(chain, content.xattrs, false);
  writeXattrs(chain, content.internalXattrs, true);
  if (content.extentTable) writeExtentTable(chain, content.clusterCount, content.extentTable);
  else writeExtentRuns(chain, content);
  return chain.pages;
}

/**
 * Links the pages of a chain in order, and writes their crcs. `numbers[0]` is the metadata page of the first page, and
 * so on.
 */
export function sealChain(pages: readonly MdPageView[], numbers: readonly MdPage[]): void {
  assert(pages.length === numbers.length, 'a chain has a page number for each page');
  pages.forEach((page, index) => {
    if (index + 1 < pages.length) page.link(numbers[index + 1]);
    page.seal();
  });
}

class ChainWriter {
  readonly pages: MdPageView[] = [];
  readonly #id: BlobId;
  readonly #newPage: () => MdPageView;
  page: MdPageView;
  /** Where the next descriptor begins, in bytes from the start of the page. */
  at = DESCRIPTORS_AT;

  constructor(id: BlobId, newPage: () => MdPageView) {
    this.#id = id;
    this.#newPage = newPage;
    this.page = this.#startPage();
  }

  /** Bytes left on this page. */
  get room(): number {
    return DESCRIPTORS_AT + DESCRIPTORS_BYTES - this.at;
  }

  /** Begins another page unless `bytes` fit on this one. */
  reserve(bytes: number): void {
    assert(bytes <= DESCRIPTORS_BYTES, 'a descriptor is larger than a page');
    if (bytes > this.room) this.nextPage();
  }

  nextPage(): void {
    this.page = this.#startPage();
    this.at = DESCRIPTORS_AT;
  }

  advance(bytes: number): void {
    this.at += bytes;
  }

  #startPage(): MdPageView {
    const page = this.#newPage();
    page.start(this.#id, this.pages.length);
    this.pages.push(page);
    return page;
  }
}

function writeXattrs(chain: ChainWriter, xattrs: readonly Xattr[], internal: boolean): void {
  for (const xattr of xattrs) {
    chain.reserve(xattrDescriptorBytes(xattr));
    chain.advance(encodeXattr(chain.page.bytes, chain.page.view, chain.at, xattr, internal));
  }
}

function writeExtentTable(chain: ChainWriter, clusterCount: number, entries: readonly ExtentTableEntry[]): void {
  let next = 0;
  // As SPDK does: a blob without clusters gets no table if its xattrs leave no room for one on the page.
  if (entries.length === 0 && chain.room < EXTENT_TABLE_BYTES_MIN) return;
  do {
    chain.reserve(EXTENT_TABLE_BYTES_MIN);
    const written = encodeExtentTable(chain.page.view, chain.at, chain.room, clusterCount, entries, next);
    chain.advance(written.bytes);
    next = written.nextEntry;
    if (next < entries.length) chain.nextPage();
  } while (next < entries.length);
}

function writeExtentRuns(chain: ChainWriter, content: ChainContent): void {
  let next = 0;
  while (next < content.clusterCount) {
    chain.reserve(EXTENT_RLE_BYTES_MIN);
    const { clusterAt, clusterCount } = content;
    const written = encodeExtentRle(chain.page.view, chain.at, chain.room, clusterAt, next, clusterCount);
    chain.advance(written.bytes);
    next = written.nextCluster;
    if (next < clusterCount) chain.nextPage();
  }
}
