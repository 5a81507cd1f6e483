/**
 * What must be true for a damaged image, derived only from its bytes and those before the damage, not by the engine.
 */

import { type BlobId, type Blobstore, crc32c, runSync } from '@blobyard/core';
import { type BaseImage, CLUSTER_BYTES, type KnownBlob, PAGE_BYTES, readAll } from './base-image.js';
import type { Victim } from './mutations.js';

const DESCRIPTORS_AT = 16;
const DESCRIPTORS_END = 4088;

export class Expectations {
  readonly base: BaseImage;
  readonly superChanged: boolean;
  readonly masksChanged: boolean;
  /** The blobs that no mutation has touched. */
  readonly soundBlobs: readonly KnownBlob[];
  /** The pages with a wrong crc that the engine must find. */
  readonly brokenPages: readonly number[];
  readonly #image: Uint8Array;
  /** All numbers in changed pages with a valid crc: the page or cluster of such a number may have got another owner. */
  readonly #named = new Set<number>();

  constructor(victim: Victim) {
    const { base } = victim;
    this.base = base;
    this.#image = victim.bytes.slice();
    this.superChanged = this.#differs(0);
    this.masksChanged = base.masks.some(({ start, count }) =>
      Array.from({ length: count }, (_, at) => start + at).some((page) => this.#differs(page)),
    );
    const changed = new Set<number>();
    for (let page = 0; page < base.mdPageCount; page++) if (this.#differs(base.mdStartPage + page)) changed.add(page);
    for (const page of changed) if (this.#isSealed(page)) this.#noteNumbers(page);
    this.soundBlobs = this.superChanged ? [] : base.blobs.filter((blob) => this.#isUntouched(blob, changed));
    const inUse = new Set(base.blobs.flatMap((blob) => blob.pages));
    const isSeen = (page: number) => !base.isClean || (inUse.has(page) && changed.size === 1);
    this.brokenPages = [...changed].filter((page) => !this.#isSealed(page) && !this.#isZero(page) && isSeen(page));
  }

  /** True if opening the store must report damage. */
  get mustBeRefused(): boolean {
    return !this.superChanged && !this.masksChanged && this.brokenPages.length > 0;
  }

  /** Throws unless the blobs can be opened, and read the same as before. */
  requireSound(store: Blobstore, blobs = this.soundBlobs): void {
    const channel = store.openChannel();
    for (const { id, content } of blobs) {
      const blob = runSync(store.openBlob(id));
      const found = readAll(channel, blob);
      runSync(store.closeBlob(blob));
      if (!Buffer.from(found.buffer).equals(content))
        throw new Error(`blob ${id}, which is undamaged, has other data than before`);
    }
    runSync(store.closeChannel(channel));
  }

  /** Throws if a page or cluster of a damaged blob was overwritten. */
  requireReserved(bytes: Uint8Array, damaged: readonly BlobId[], when: string): void {
    if (this.superChanged) return;
    const isSame = (at: number, length: number) =>
      Buffer.from(bytes.buffer, at, length).equals(this.#image.subarray(at, at + length));
    for (const { id, pages, clusters } of this.base.blobs) {
      if (!damaged.includes(id)) continue;
      for (const page of pages) {
        if (this.#named.has(page) || this.#isZero(page)) continue;
        if (isSame((this.base.mdStartPage + page) * PAGE_BYTES, PAGE_BYTES)) continue;
        throw new Error(`metadata page ${page} of blob ${id}, which is damaged, was overwritten ${when}`);
      }
      for (const cluster of clusters) {
        if (this.#named.has(cluster) || isSame(cluster * CLUSTER_BYTES, CLUSTER_BYTES)) continue;
        throw new Error(`cluster ${cluster} of blob ${id}, which is damaged, was overwritten ${when}`);
      }
    }
  }

  #differs(page: number): boolean {
    const at = page * PAGE_BYTES;
    return !Buffer.from(this.#image.buffer, at, PAGE_BYTES).equals(this.base.bytes.subarray(at, at + PAGE_BYTES));
  }

  #at(page: number): number {
    return (this.base.mdStartPage + page) * PAGE_BYTES;
  }

  #isSealed(page: number): boolean {
    const at = this.#at(page);
    return new DataView(this.#image.buffer).getUint32(at + 4092, true) === crc32c(this.#image, at, 4092);
  }

  #isZero(page: number): boolean {
    return this.#image.subarray(this.#at(page), this.#at(page) + PAGE_BYTES).every((byte) => byte === 0);
  }

  #noteNumbers(page: number): void {
    const view = new DataView(this.#image.buffer, this.#at(page), PAGE_BYTES);
    const before = new DataView(this.base.bytes.buffer, this.#at(page), PAGE_BYTES);
    const isReshaped = shapeOf(view) !== shapeOf(before);
    for (let at = DESCRIPTORS_AT; at + 4 <= DESCRIPTORS_END; at++) {
      const value = view.getUint32(at, true);
      const length = at + 8 <= DESCRIPTORS_END ? view.getUint32(at + 4, true) : 1;
      const isNew = value !== before.getUint32(at, true);
      const isLonger = at + 8 <= DESCRIPTORS_END && length !== before.getUint32(at + 4, true);
      if (isReshaped || isNew || isLonger) this.#noteRun(value, length);
    }
    this.#named.add(view.getUint32(DESCRIPTORS_END, true));
  }

  /** Adds the numbers of a run to `#named`. */
  #noteRun(first: number, length: number): void {
    const end = this.#image.length / CLUSTER_BYTES;
    for (let value = first; value < Math.min(end, first + Math.max(1, length)); value++) this.#named.add(value);
  }

  #isUntouched(blob: KnownBlob, changed: ReadonlySet<number>): boolean {
    if (blob.pages.some((page) => changed.has(page) || this.#named.has(page))) return false;
    if (blob.clusters.some((cluster) => this.#named.has(cluster))) return false;
    if (blob.parent === undefined) return true;
    const parent = this.base.blobs.find((each) => each.id === blob.parent);
    return parent !== undefined && this.#isUntouched(parent, changed);
  }
}

/** The types and lengths of a page's descriptors. If they differ, the same bytes have another meaning. */
function shapeOf(page: DataView): string {
  const shape: number[] = [];
  for (let at = DESCRIPTORS_AT; at + 5 <= DESCRIPTORS_END; at += 5 + page.getUint32(at + 1, true)) {
    shape.push(page.getUint8(at), page.getUint32(at + 1, true));
    if (shape.at(-1) === 0 && shape.at(-2) === 0) break;
  }
  return shape.join();
}
