/**
 * Splits long transfers into parts, so that other work of the thread can run between them. A part is one or more
 * whole clusters, or less at the ends of the range. If a cluster is larger than `PART_BYTES`, it is split, too.
 */

import { type ByteSpan, byteSpan } from './byte-span.js';

/** The most bytes of a part, 2 MiB: they are transferred in about a millisecond, or less. */
export const PART_BYTES = 2 << 20;
/**
 * The most clusters of a part. Each cluster has a cost, however small it is: a lookup through all its snapshots, an
 * insertion, or a release.
 */
const CLUSTERS_MAX = 64;
/** The most clusters of a part of a trim, including those that are not allocated, which need no work. */
const UNALLOCATED_MAX = 4096;

/** The sizes of parts. */
export interface PartSizes {
  /** The most io units of a part of a read or write. */
  readonly transferUnits: number;
  /** Io units of a cluster. */
  readonly clusterUnits: number;
  /**
   * The most allocated clusters of a part of a trim. At least 1, because a trim of less than a cluster would not free
   * it.
   */
  readonly trimClusters: number;
}

export function partSizes(clusterBytes: number, unitBytes: number): PartSizes {
  const clusterUnits = clusterBytes / unitBytes;
  const clusters = Math.min(Math.floor(PART_BYTES / clusterBytes), CLUSTERS_MAX);
  return {
    transferUnits: clusters > 0 ? clusters * clusterUnits : PART_BYTES / unitBytes,
    clusterUnits,
    trimClusters: Math.max(1, clusters),
  };
}

/** Returns the end, exclusive, of the part that begins at io unit `first`. */
export function partEnd(first: number, end: number, unitsMax: number): number {
  return Math.min(end, (Math.floor(first / unitsMax) + 1) * unitsMax);
}

/** Returns the end of a part of a trim. Clusters that are not allocated hardly count, because they need no work. */
export function trimEnd(
  { clusterUnits, trimClusters }: PartSizes,
  first: number,
  end: number,
  isAllocated: (unit: number) => boolean,
): number {
  let at = first;
  for (let clusters = 0, allocated = 0; at < end && clusters < UNALLOCATED_MAX; clusters++) {
    if (isAllocated(at) && allocated++ === trimClusters) break;
    at = partEnd(at, end, clusterUnits);
  }
  return at;
}

/** A part of a transfer: its range, and its arrays. */
export interface TransferPart {
  readonly span: ByteSpan;
  readonly list: readonly Uint8Array[];
}

/**
 * Returns all parts of a transfer, as views of the arrays. If the buffer of an array is transferred to another thread
 * later, its views become empty.
 */
export function partsOf(
  span: ByteSpan,
  list: readonly Uint8Array[],
  unitBytes: number,
  unitsMax: number,
): TransferPart[] {
  const parts: TransferPart[] = [];
  const cursor = new ListCursor(list);
  const endByte = span.offset + span.length;
  let offset = span.offset;
  for (let first = span.first; first < span.end; first = partEnd(first, span.end, unitsMax)) {
    const end = Math.min(endByte, partEnd(first, span.end, unitsMax) * unitBytes);
    parts.push({ span: byteSpan(offset, end - offset, unitBytes), list: cursor.take(end - offset) });
    offset = end;
  }
  return parts;
}

/** Takes bytes from a list of arrays, from front to back, as views. */
class ListCursor {
  readonly #list: readonly Uint8Array[];
  #index = 0;
  #within = 0;

  constructor(list: readonly Uint8Array[]) {
    this.#list = list;
  }

  take(bytes: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const array = this.#list[this.#index];
      const count = Math.min(left, array.length - this.#within);
      if (count > 0) taken.push(array.subarray(this.#within, this.#within + count));
      left -= count;
      this.#within += count;
      if (this.#within < array.length) continue;
      this.#index++;
      this.#within = 0;
    }
    return taken;
  }
}
