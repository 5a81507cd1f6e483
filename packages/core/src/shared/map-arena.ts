/**
 * The arena of cluster maps: the parts of the maps of all open blobs are runs of 32-bit entries in one growable shared
 * buffer. The lengths of runs are powers of two; freed runs are kept in a free list for each length. Only the metadata
 * thread allocates and writes; any thread reads. Positions and counts are in entries.
 *
 * A map has two levels (`blob/arena-table.ts`): entry n of its directory says where leaf n begins, which holds entries
 * 512 n to 512 n + 511 of the map. The arena begins with a leaf of zeroes that is never written. So a reader needs no
 * special case for 0 in a directory: it finds a leaf in which nothing is allocated.
 */

import { assert, BlobstoreError } from '../units/error.js';
import { CLUSTERS_PER_EXTENT_PAGE } from '../units/units.js';
import {
  MAP_ARENA_BYTES_MAX,
  MAP_ARENA_BYTES_MIN,
  MAP_ARENA_BYTES_PER_CLUSTER,
  MAP_ARENA_BYTES_PER_MD_PAGE,
} from './layout.js';

/** Entries of a leaf, a power of two: a leaf of a cluster map has what an extent page has. */
export const LEAF_ENTRIES = CLUSTERS_PER_EXTENT_PAGE;
const LEAF_LOG2 = Math.log2(LEAF_ENTRIES);
const LEAF_MASK = LEAF_ENTRIES - 1;
/** Where the leaf of zeroes begins: an entry of a directory that has no leaf of its own. */
export const NO_LEAF = 0;

const FIRST_BYTES = 1 << 16;
/** log2 of the shortest run. */
const SHORTEST_RUN_LOG2 = 4;

/** The arena of cluster maps. */
export class MapArena {
  readonly buffer: SharedArrayBuffer;
  #words: Uint32Array;
  /** The first word that was never allocated; the leaf of zeroes lies below. */
  #top = LEAF_ENTRIES;
  readonly #free: number[][] = [];

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(FIRST_BYTES, { maxByteLength: MAP_ARENA_BYTES_MAX });
    this.#words = new Uint32Array(this.buffer, 0, this.buffer.byteLength / 4);
  }

  /** A new arena for a store of this size; see `MAP_ARENA_BYTES_PER_MD_PAGE`. */
  static forStore(clusterCountMax: number, mdPageCount: number): MapArena {
    const wanted = Math.max(
      MAP_ARENA_BYTES_MIN,
      mdPageCount * MAP_ARENA_BYTES_PER_MD_PAGE,
      clusterCountMax * MAP_ARENA_BYTES_PER_CLUSTER,
    );
    const maxByteLength = Math.min(MAP_ARENA_BYTES_MAX, wanted);
    return new MapArena(new SharedArrayBuffer(FIRST_BYTES, { maxByteLength }));
  }

  /** Reads an entry. Any thread. */
  load(at: number): number {
    if (at >= this.#words.length) this.#refresh();
    return Atomics.load(this.#words, at);
  }

  /**
   * Reads an entry without `Atomics`, which is much faster. The metadata thread, which is the only writer; any other
   * thread inside the blob, once it has seen that it is not frozen. That is safe: an entry changes to another cluster,
   * or to none, only while the blob is frozen and drained; a new entry is either seen or not; and what is read at the
   * place that the entry names depends on the entry, so it is not older than the entry.
   */
  peek(at: number): number {
    if (at >= this.#words.length) this.#refresh();
    return this.#words[at];
  }

  /** Reads entry `index` of a map. The metadata thread; any other thread inside the blob. */
  loadIn(map: number, index: number): number {
    return this.load(this.load(map + (index >>> LEAF_LOG2)) + (index & LEAF_MASK));
  }

  /**
   * As `loadIn`, but without `Atomics`; see `peek` for who may. A directory has a leaf's position only after the leaf
   * was cleared, and what is read there depends on the position, so it is not older.
   */
  peekIn(map: number, index: number): number {
    const leafAt = map + (index >>> LEAF_LOG2);
    if (leafAt >= this.#words.length) this.#refresh();
    const at = this.#words[leafAt] + (index & LEAF_MASK);
    if (at >= this.#words.length) this.#refresh();
    return this.#words[at];
  }

  /**
   * Returns the index of the first entry of a map, from `start` up to, not including, `end`, that is not 0 (if
   * `isSet`), or that is 0 (if not). Undefined if there is none. Skips leaves that were never made. Any thread, also
   * outside the blob. Never throws; what it finds is right if the map was not changed meanwhile.
   */
  findIn(map: number, start: number, end: number, isSet: boolean): number | undefined {
    for (let index = start; index < end; index++) {
      const leaf = this.#loadOr0(map + (index >>> LEAF_LOG2));
      if (leaf === NO_LEAF && isSet) index += LEAF_MASK - (index & LEAF_MASK);
      else if ((this.#loadOr0(leaf + (index & LEAF_MASK)) !== 0) === isSet) return index;
    }
    return undefined;
  }

  /**
   * A view of entries, valid until the arena grows. For the metadata thread, whose reads of its own writes need not be
   * atomic.
   */
  window(start: number, count: number): Uint32Array {
    return this.#words.subarray(start, start + count);
  }

  /** Writes an entry. Metadata thread. */
  store(at: number, cluster: number): void {
    Atomics.store(this.#words, at, cluster);
  }

  /** Sets a range of entries to one value. Metadata thread, and only while no other thread can read them. */
  fill(value: number, start: number, end: number): void {
    this.#words.fill(value, start, end);
  }

  /** Copies a range of entries. Metadata thread, and only while no other thread can read the target. */
  copy(target: number, start: number, end: number): void {
    this.#words.copyWithin(target, start, end);
  }

  /** The length of the run for `count` entries. */
  static runLength(count: number): number {
    return 2 ** runLog2(count);
  }

  /**
   * Allocates a run for `count` entries, with undefined content. Metadata thread. Throws ENOMEM when the arena is full.
   */
  allocate(count: number): number {
    const log2 = runLog2(count);
    const reused = this.#free[log2]?.pop();
    if (reused !== undefined) return reused;
    const start = this.#top;
    const end = start + 2 ** log2;
    if (end > this.#words.length) this.#grow(end, count);
    this.#top = end;
    return start;
  }

  /**
   * Frees a run that was allocated for `count` entries. Metadata thread, and only while no other thread can read it.
   */
  free(start: number, count: number): void {
    assert(start < this.#top, 'a run was freed that was never given out');
    const log2 = runLog2(count);
    this.#free[log2] ??= [];
    this.#free[log2].push(start);
  }

  #grow(end: number, count: number): void {
    const bytes = end * 4;
    if (bytes > this.buffer.maxByteLength) {
      const room = `${this.buffer.maxByteLength} bytes are reserved for the cluster maps of all open blobs`;
      throw new BlobstoreError('ENOMEM', `no room for a cluster map of ${count} entries: ${room}; close blobs first`);
    }
    this.buffer.grow(Math.min(Math.max(bytes, this.buffer.byteLength * 2), this.buffer.maxByteLength));
    this.#refresh();
  }

  #loadOr0(at: number): number {
    if (at >= this.#words.length) this.#refresh();
    return at < this.#words.length ? Atomics.load(this.#words, at) : 0;
  }

  #refresh(): void {
    this.#words = new Uint32Array(this.buffer, 0, this.buffer.byteLength / 4);
  }
}

function runLog2(count: number): number {
  return Math.max(SHORTEST_RUN_LOG2, Math.ceil(Math.log2(Math.max(1, count))));
}
