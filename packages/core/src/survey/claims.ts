/**
 * Reads what a damaged blob names, as far as that is readable. Everything that it names stays reserved, even what is
 * named on pages whose crc is wrong. If a page with a correct crc names what another blob has, that blob is damaged as
 * well; if the crc is wrong, the other blob stays sound.
 */

import { INTERNAL_XATTR } from '../blob/blob.js';
import { DESCRIPTOR, type Descriptor, descriptorsOf } from '../format/descriptor.js';
import { decodeExtentPage, isExtentPage } from '../format/extent-page.js';
import { decodeExtentRle, RUN_BYTES } from '../format/extent-rle.js';
import { decodeExtentTable } from '../format/extent-table.js';
import type { MdPageView } from '../format/md-page.js';
import { decodeXattr } from '../format/xattr.js';
import type { RegionReader } from '../state/region-reader.js';
import type { Steps } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32 } from '../units/units.js';

/**
 * Receives what a blob names: only what the store has, and no metadata clusters. `sealed`: named on pages whose crc is
 * correct.
 */
export interface ClaimSink {
  page(page: MdPage, sealed: boolean): void;
  clusters(first: number, count: number, sealed: boolean): void;
}

/** How much of a blob could be read. */
export interface Claims {
  /** True when everything could be read. */
  isComplete: boolean;
  /** True when the chain is complete, so that it is known whether the blob is a clone, and of which snapshot. */
  knowsParent: boolean;
  parentId: BlobId | undefined;
}

export class ClaimReader {
  readonly claims: Claims = { isComplete: true, knowsParent: true, parentId: undefined };
  readonly #region: RegionReader;
  readonly #geometry: Geometry;
  readonly #clusterCount: number;
  readonly #first: MdPage;
  readonly #sink: ClaimSink;
  readonly #seen = new Set<number>();
  readonly #extentPages: { page: MdPage; sealed: boolean }[] = [];
  /** How many clusters were named so far. Limits the work when pages name overlapping runs again and again. */
  #namedCount = 0;

  constructor(region: RegionReader, geometry: Geometry, clusterCount: number, first: MdPage, sink: ClaimSink) {
    this.#region = region;
    this.#geometry = geometry;
    this.#clusterCount = clusterCount;
    this.#first = first;
    this.#sink = sink;
  }

  /** @param isRoot - true when the first page has a correct crc, and the id of its place */
  *read(isRoot: boolean): Steps<Claims> {
    yield* this.#readChain(isRoot);
    for (const { page, sealed } of this.#extentPages) yield* this.#readExtentPage(page, sealed);
    return this.claims;
  }

  *#readChain(isRoot: boolean): Steps<void> {
    let believed = isRoot;
    let number: number = this.#first;
    for (let sequence = 0; ; sequence++) {
      if (number >= this.#geometry.mdPageCount || this.#seen.has(number)) return this.#lost(true);
      const page = yield* this.#region.anywhere(number as MdPage);
      const fits = page.id === blobIdOfPage(this.#first) && page.sequence === sequence;
      if (sequence > 0 && page.isSealed && !fits) return this.#lost(true); // it belongs to another blob
      this.#seen.add(number);
      this.#sink.page(number as MdPage, believed);
      if (!page.isSealed || !fits) this.#lost(true);
      believed &&= page.isSealed;
      this.#parse(page, believed);
      number = page.next;
      if (number === NONE_U32) return;
      yield undefined;
    }
  }

  #lost(ofChain: boolean): void {
    this.claims.isComplete = false;
    if (ofChain) this.claims.knowsParent = false;
  }

  #parse(page: MdPageView, sealed: boolean): void {
    for (const descriptor of descriptorsOf(page.view)) {
      if (!descriptor.fits || descriptor.type > DESCRIPTOR.EXTENT_PAGE) this.#lost(!descriptor.fits);
      else this.#parseDescriptor(page, descriptor, sealed);
    }
  }

  #parseDescriptor({ bytes, view }: MdPageView, { type, payloadAt, payloadBytes }: Descriptor, sealed: boolean): void {
    switch (type) {
      case DESCRIPTOR.EXTENT_RLE: {
        const runs = decodeExtentRle(view, payloadAt, payloadBytes - (payloadBytes % RUN_BYTES));
        for (const { first, length } of runs ?? []) this.#name(first, length, sealed);
        return;
      }
      case DESCRIPTOR.EXTENT_TABLE: {
        const table = decodeExtentTable(view, payloadAt, payloadBytes);
        if (!table) this.#lost(false);
        for (const { page } of table?.entries ?? []) if (page !== 0) this.#extentPages.push({ page, sealed });
        return;
      }
      case DESCRIPTOR.EXTENT_PAGE:
        this.#parseExtents(view, payloadAt, payloadBytes, sealed);
        return;
      case DESCRIPTOR.XATTR_INTERNAL: {
        const xattr = decodeXattr(bytes, view, payloadAt, payloadBytes);
        if (!xattr) this.#lost(true);
        if (xattr?.name !== INTERNAL_XATTR.SNAPSHOT || xattr.value.length !== 8) return;
        this.claims.parentId = new DataView(xattr.value.buffer).getBigUint64(0, true);
      }
    }
  }

  *#readExtentPage(number: MdPage, named: boolean): Steps<void> {
    if (number >= this.#geometry.mdPageCount || this.#seen.has(number)) return this.#lost(false);
    this.#seen.add(number);
    const page = yield* this.#region.anywhere(number);
    this.#sink.page(number, named && isExtentPage(page)); // a page of a chain names its blob itself
    if (!page.isSealed) this.#lost(false);
    const [descriptor] = descriptorsOf(page.view);
    if (descriptor?.type !== DESCRIPTOR.EXTENT_PAGE || !descriptor.fits) return this.#lost(false);
    this.#parseExtents(page.view, descriptor.payloadAt, descriptor.payloadBytes, named && page.isSealed);
    yield undefined;
  }

  #parseExtents(view: DataView, payloadAt: number, payloadBytes: number, sealed: boolean): void {
    const extent = decodeExtentPage(view, payloadAt, payloadBytes);
    if (!extent) this.#lost(false);
    for (let at = 0; at < (extent?.clusterCount ?? 0); at++) this.#name(extent?.clusterAt(at) ?? 0, 1, sealed);
  }

  #name(first: number, count: number, sealed: boolean): void {
    if (first === 0) return;
    const from = Math.max(first, this.#geometry.metadataClusterCount());
    const present = Math.min(first + count, this.#clusterCount) - from;
    if (from !== first || first + count > this.#clusterCount) this.#lost(false);
    if (present <= 0) return;
    this.#namedCount += present;
    if (this.#namedCount <= 2 * this.#clusterCount) this.#sink.clusters(from, present, sealed);
    else this.#lost(false);
  }
}
