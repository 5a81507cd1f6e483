/**
 * The rules on which SPDK relies when it recovers a store that was not closed, as a model of our own. If a disk breaks
 * a rule, SPDK refuses it, stops at an assertion, crashes, or gives two blobs the same clusters.
 */

import { crc32c, SuperBlock } from '@blobyard/core';
import type { SparseMemoryDevice } from '@blobyard/io';
import { DESCRIPTOR, descriptorsOf, wordsOf } from '../peer/raw-page.js';

const NONE = 0xffff_ffff;
const EXTENTS_PER_PAGE = 512;
/**
 * Internal xattrs: the id of a clone's parent, and the marks of a snapshot that is being made or deleted. A mark has
 * the id of the other blob.
 */
const PARENT = 'SNAP';
const MARKS = ['SNAPRM', 'SNAPTMP'];
/** Flags of a blob: it is thin; it is a clone of an external snapshot, with or without the xattr that names it. */
const THIN = 1;
const EXTERNAL = 8;

export type Rule =
  /** An extent page that a root names exists and is valid. */
  | 'extent page'
  /** The extent pages of a blob map as many clusters as its root says. */
  | 'size'
  /** No cluster has two owners, once snapshots that nobody needs are removed. */
  | 'shared cluster'
  /**
   * A marked snapshot that is to be removed is no clone: SPDK does not list it before, and then looks for it in the
   * list.
   */
  | 'removed clone';

interface Root {
  readonly page: number;
  readonly parent: number | undefined;
  /** The other blob of a marked snapshot. */
  readonly other: number | undefined;
  readonly clusters: readonly number[];
}

/** The rules that a disk breaks. */
export function brokenRules(device: SparseMemoryDevice): Set<Rule> {
  return new Recovery(device).run();
}

class Recovery {
  readonly #device: SparseMemoryDevice;
  readonly #regionPage: number;
  readonly #pageCount: number;
  readonly #broken = new Set<Rule>();

  constructor(device: SparseMemoryDevice) {
    this.#device = device;
    const block = new SuperBlock(this.#read(0));
    this.#regionPage = block.metadata.start;
    this.#pageCount = block.metadata.count;
  }

  run(): Set<Rule> {
    const roots = new Map<number, Root>();
    for (let page = 0; page < this.#pageCount; page++) {
      const bytes = this.#mdPage(page);
      const view = viewOf(bytes);
      const isRoot = isSealed(bytes) && view.getUint32(8, true) === 0 && view.getUint32(0, true) === page;
      if (isRoot && view.getUint32(4, true) === 1) roots.set(page, this.#readBlob(page));
    }
    const owners = new Set<number>();
    for (const root of roots.values()) {
      const isRemoved = root.other !== undefined && roots.get(root.other)?.parent !== root.page;
      if (isRemoved && root.parent !== undefined) this.#broken.add('removed clone');
      for (const cluster of isRemoved ? [] : root.clusters) {
        if (owners.has(cluster)) this.#broken.add('shared cluster');
        owners.add(cluster);
      }
    }
    return this.#broken;
  }

  #readBlob(page: number): Root {
    const clusters: number[] = [];
    const xattrs = new Map<string, number>();
    const extentPages: number[] = [];
    let size: number | undefined;
    let flags = 0;
    for (let at = page; at !== NONE; ) {
      const bytes = this.#mdPage(at);
      for (const { type, payload } of descriptorsOf(bytes)) {
        if (type === DESCRIPTOR.FLAGS) flags = payload.getUint32(0, true);
        if (type === DESCRIPTOR.XATTR_INTERNAL) noteXattr(payload, xattrs);
        if (type === DESCRIPTOR.EXTENT_RLE) clusters.push(...clustersOfRuns(wordsOf(payload)));
        if (type !== DESCRIPTOR.EXTENT_TABLE) continue;
        size = payload.getUint32(0, true);
        const entries = wordsOf(payload).slice(2);
        for (let entry = 0; entry < entries.length; entry += 2) {
          for (let run = 0; run < entries[entry + 1]; run++) extentPages.push(entries[entry]);
        }
      }
      at = viewOf(bytes).getUint32(4088, true);
    }
    if (size !== undefined) clusters.push(...this.#readExtentPages(extentPages, size));
    const [mark] = MARKS.filter((name) => xattrs.has(name));
    const isClone = (flags & (THIN | EXTERNAL)) === THIN;
    return { page, parent: isClone ? xattrs.get(PARENT) : undefined, other: xattrs.get(mark), clusters };
  }

  #readExtentPages(pages: readonly number[], size: number): number[] {
    const clusters: number[] = [];
    let end = 0;
    pages.forEach((page, index) => {
      const start = index * EXTENTS_PER_PAGE;
      if (page === 0) {
        end = Math.min(size, start + EXTENTS_PER_PAGE);
        return;
      }
      const bytes = this.#mdPage(page);
      const [descriptor] = descriptorsOf(bytes);
      const isValid =
        isSealed(bytes) && descriptor?.type === DESCRIPTOR.EXTENT_PAGE && descriptor.payload.byteLength > 4;
      if (!isValid) this.#broken.add('extent page');
      if (!isValid) return;
      const [first, ...entries] = wordsOf(descriptor.payload);
      if (first !== end) this.#broken.add('size');
      end = first + entries.length;
      clusters.push(...entries.filter((cluster) => cluster !== 0));
    });
    if (end !== size) this.#broken.add('size');
    return clusters;
  }

  #mdPage(page: number): Uint8Array {
    return this.#read(this.#regionPage + page);
  }

  #read(page: number): Uint8Array {
    const bytes = new Uint8Array(4096);
    const blocks = 4096 / this.#device.blockLengthBytes;
    void this.#device.openChannel().read(bytes, 0, page * blocks, blocks);
    return bytes;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isSealed(bytes: Uint8Array): boolean {
  return viewOf(bytes).getUint32(4092, true) === crc32c(bytes, 0, 4092);
}

/** Adds the page of the blob whose id an internal xattr has. */
function noteXattr(payload: DataView, xattrs: Map<string, number>): void {
  const nameBytes = payload.getUint16(0, true);
  const name = Buffer.from(payload.buffer, payload.byteOffset + 4, nameBytes).toString('latin1');
  if (payload.getUint16(2, true) === 8) xattrs.set(name, payload.getUint32(4 + nameBytes, true));
}

function clustersOfRuns(words: readonly number[]): number[] {
  const clusters: number[] = [];
  for (let at = 0; at < words.length; at += 2) {
    for (let index = 0; words[at] !== 0 && index < words[at + 1]; index++) clusters.push(words[at] + index);
  }
  return clusters;
}
