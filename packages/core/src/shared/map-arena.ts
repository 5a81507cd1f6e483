/**
 * The arena of cluster maps: the map of every open blob is a run of 32-bit entries in one growable shared buffer. Runs are
 * powers of two long, from free lists by length. The metadata thread alone allocates and writes; any thread reads.
 */

import { assert, BlobstoreError } from '../units/error.js';
import {
  MAP_ARENA_BYTES_MAX,
  MAP_ARENA_BYTES_MIN,
  MAP_ARENA_BYTES_PER_CLUSTER,
  MAP_ARENA_BYTES_PER_MD_PAGE,
} from './layout.js';

const FIRST_BYTES = 1 << 16;
/** log2 of the shortest run. */
const SHORTEST_RUN_LOG2 = 4;

export class MapArena {
  readonly buffer: SharedArrayBuffer;
  #words: Uint32Array;
  /** First word that was never given out. */
  #top = 0;
  readonly #free: number[][] = [];

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(FIRST_BYTES, { maxByteLength: MAP_ARENA_BYTES_MAX });
    this.#words = new Uint32Array(this.buffer, 0, this.buffer.byteLength / 4);
  }

  /** An arena for the blobs of a store of this size. */
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
   * Reads an entry plainly, which is much faster. The metadata thread, which alone writes them; another thread inside the blob,
   * which has seen it not frozen: an entry that changes from one cluster to another, or to none, does so only while the blob is
   * frozen and drained, and one that appears is either seen or not. What is read by way of the entry depends on it, and so is
   * not older than the entry.
   */
  peek(at: number): number {
    if (at >= this.#words.length) this.#refresh();
    return this.#words[at];
  }

  /** A window on entries, for the metadata thread, which need not read its own writes atomically. */
  window(start: number, count: number): Uint32Array {
    return this.#words.subarray(start, start + count);
  }

  /** Writes an entry. Metadata thread. */
  store(at: number, cluster: number): void {
    Atomics.store(this.#words, at, cluster);
  }

  /** Sets a range of entries to one value. Metadata thread, and only while no reader can look there. */
  fill(value: number, start: number, end: number): void {
    this.#words.fill(value, start, end);
  }

  /** Copies a range of entries. Metadata thread, and only while no reader can look at the target. */
  copy(target: number, start: number, end: number): void {
    this.#words.copyWithin(target, start, end);
  }

  /** Entries in a run that holds at least `count`. */
  static runLength(count: number): number {
    return 2 ** runLog2(count);
  }

  /** Takes a run for `count` entries, whatever they hold. Metadata thread. ENOMEM when the arena is full. */
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

  /** Gives a run back that was taken for `count` entries. Metadata thread, and only while no reader can look there. */
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

  #refresh(): void {
    this.#words = new Uint32Array(this.buffer, 0, this.buffer.byteLength / 4);
  }
}

function runLog2(count: number): number {
  return Math.max(SHORTEST_RUN_LOG2, Math.ceil(Math.log2(Math.max(1, count))));
}
