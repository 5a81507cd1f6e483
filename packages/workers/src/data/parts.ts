/**
 * Long transfers are made in parts, and between two of them other work of the thread gets its turn. Parts end where clusters do,
 * or several of them; only of very large clusters a part is less than one.
 */

import { type ByteSpan, byteSpan } from './byte-span.js';

/** Bytes that are moved in about a millisecond, or less. */
const PART_BYTES = 2 << 20;
/** Each cluster costs something, however small: a look through all snapshots behind it, an insertion, or a release. */
const CLUSTERS_MAX = 64;
/** Of these, nothing is known but that there is nothing to do. */
const UNALLOCATED_MAX = 4096;

/** What is moved at once. */
export interface PartSizes {
  readonly transferUnits: number;
  readonly clusterUnits: number;
  /** Clusters that are given back; a part of one would not be. */
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

/** Where the part ends that begins at an io unit. */
export function partEnd(first: number, end: number, unitsMax: number): number {
  return Math.min(end, (Math.floor(first / unitsMax) + 1) * unitsMax);
}

/** The same for what is to be given back, which is nothing where no cluster is allocated. */
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

/** A part of a transfer: its range, and the arrays that are moved. */
export interface TransferPart {
  readonly span: ByteSpan;
  readonly list: readonly Uint8Array[];
}

/** The parts of a transfer, all taken now: the arrays of a part whose memory is given away meanwhile are empty then. */
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

/** Takes arrays apart from front to back, as views. */
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
