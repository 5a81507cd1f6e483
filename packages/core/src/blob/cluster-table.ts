/**
 * The cluster map of a blob in shared memory, in two levels: a directory with an entry for each 512 clusters (as many
 * as an extent page maps), and leaves with an entry for each cluster. A leaf is made when one of its clusters is
 * allocated, so that a thin blob takes memory, and time to visit, for what is written, not for its size. Only the
 * metadata thread writes it; any thread reads it, by the directory's offset (`MapArena.peekCluster`).
 */

import { CLUSTERS_PER_LEAF, MapArena, NO_LEAF } from '../shared/map-arena.js';
import { InvariantError } from '../units/error.js';
import { UNALLOCATED } from '../units/units.js';

/** A run of the arena: where it begins, and for how many entries. */
interface Run {
  readonly start: number;
  readonly room: number;
}

/** The device cluster of each cluster of a blob, or 0. The object belongs to the metadata thread. */
export class ClusterTable {
  readonly #arena: MapArena;
  /** Where each leaf begins, or `NO_LEAF`. */
  #directory: Run;
  #count = 0;
  /** The entries that the first leaf has room for; all other leaves have room for `CLUSTERS_PER_LEAF`. */
  #firstLeafRoom = 0;

  constructor(arena: MapArena) {
    this.#arena = arena;
    this.#directory = allocate(arena, 1);
  }

  /** Where the directory lies in the arena. Changes when it is moved to a longer run. */
  get offset(): number {
    return this.#directory.start;
  }

  /** The number of clusters. */
  get count(): number {
    return this.#count;
  }

  get(index: number): number {
    if (index >= this.#count) this.#pastEnd(index);
    return this.#arena.loadCluster(this.offset, index);
  }

  /** Sets an entry. Throws ENOMEM, with nothing changed, when that needs a new leaf and the arena is full. */
  set(index: number, cluster: number): void {
    if (index >= this.#count) this.#pastEnd(index);
    const leaf = this.#leafAt(leafOf(index));
    if (leaf === NO_LEAF && cluster === UNALLOCATED) return;
    if (leaf === NO_LEAF) this.reserve(index);
    this.#arena.store(this.#leafAt(leafOf(index)) + (index % CLUSTERS_PER_LEAF), cluster);
  }

  /** Makes the leaf of an entry, so that `set` cannot fail. Throws ENOMEM when the arena is full. */
  reserve(index: number): void {
    if (index >= this.#count) this.#pastEnd(index);
    const leaf = leafOf(index);
    if (this.#leafAt(leaf) !== NO_LEAF) return;
    const run = allocate(this.#arena, leafRoom(leaf, this.#count));
    this.#arena.fill(UNALLOCATED, run.start, run.start + run.room);
    this.#setLeaf(leaf, run);
  }

  /**
   * Makes the table longer; new entries are 0. The blob must be frozen and drained, because the directory and the first
   * leaf may move. The caller publishes the new offset before anything else is allocated in the arena. Throws ENOMEM,
   * with nothing changed, when the arena is full.
   * @param filled - also make the leaves of all new entries, so that `set` cannot fail for them
   */
  extend(count: number, filled = false): void {
    const before = this.#count;
    if (count <= before) return;
    const { directory, leaves } = this.#allocateFor(count, filled);
    const replaced: Run[] = [];
    if (directory !== undefined) {
      this.#arena.copy(directory.start, this.offset, this.offset + leavesFor(before));
      replaced.push(this.#directory);
      this.#directory = directory;
    }
    this.#arena.fill(NO_LEAF, this.offset + leavesFor(before), this.offset + leavesFor(count));
    for (const [leaf, run] of leaves) {
      const old = this.#leafAt(leaf);
      this.#arena.fill(UNALLOCATED, run.start, run.start + run.room);
      if (old !== NO_LEAF) {
        this.#arena.copy(run.start, old, old + before);
        replaced.push({ start: old, room: this.#firstLeafRoom });
      }
      this.#setLeaf(leaf, run);
    }
    this.#clearPast(before);
    this.#count = count;
    // Last: another thread may look at them until the caller has published the new offset.
    for (const { start, room } of replaced) this.#arena.free(start, room);
  }

  /**
   * Makes the table shorter. The caller publishes that before anything else is allocated in the arena. No channel may
   * be able to read what is cut off: the blob is shorter already.
   */
  truncate(count: number): void {
    if (count >= this.#count) return;
    for (let leaf = leavesFor(count); leaf < leavesFor(this.#count); leaf++) this.#removeLeaf(leaf);
    this.#count = count;
  }

  /** Sets all entries to 0. Only while no other thread can read them. */
  clear(): void {
    for (let leaf = 0; leaf < leavesFor(this.#count); leaf++) this.#removeLeaf(leaf);
  }

  /** Frees all that the table has in the arena. The table must not be used any more. */
  free(): void {
    this.clear();
    this.#arena.free(this.#directory.start, this.#directory.room);
    this.#count = 0;
  }

  /**
   * Calls a function for each entry from `start` to `end` that is not 0, in ascending order. The function may set
   * entries. Costs what is allocated, and a little for each 512 clusters.
   */
  forEachAllocated(visit: (cluster: number, index: number) => void, start = 0, end = this.#count): void {
    const past = Math.min(end, this.#count);
    for (let from = start; from < past; ) {
      const next = Math.min(past, (leafOf(from) + 1) * CLUSTERS_PER_LEAF);
      const leaf = this.#leafAt(leafOf(from));
      if (leaf !== NO_LEAF) {
        const entries = this.#arena.window(leaf + (from % CLUSTERS_PER_LEAF), next - from);
        for (let at = 0; at < entries.length; at++) if (entries[at] !== UNALLOCATED) visit(entries[at], from + at);
      }
      from = next;
    }
  }

  /** The indices of the entries before `end` that are not 0, in ascending order, as they are now. */
  allocated(end: number): number[] {
    const indices: number[] = [];
    this.forEachAllocated((_cluster, index) => indices.push(index), 0, end);
    return indices;
  }

  /** The number of entries before `end` that are not 0. */
  countAllocated(end: number): number {
    let allocated = 0;
    this.forEachAllocated(() => allocated++, 0, end);
    return allocated;
  }

  #leafAt(leaf: number): number {
    return this.#arena.peek(this.offset + leaf);
  }

  /** Allocates what `extend` needs. Throws ENOMEM with nothing allocated. */
  #allocateFor(count: number, filled: boolean): { directory: Run | undefined; leaves: [number, Run][] } {
    const taken: Run[] = [];
    const take = (entries: number): Run => {
      const run = allocate(this.#arena, entries);
      taken.push(run);
      return run;
    };
    try {
      const directory = leavesFor(count) > this.#directory.room ? take(leavesFor(count)) : undefined;
      const wanted = this.#leavesFor(count, filled);
      return { directory, leaves: wanted.map((leaf) => [leaf, take(leafRoom(leaf, count))]) };
    } catch (error) {
      for (const { start, room } of taken) this.#arena.free(start, room);
      throw error;
    }
  }

  /** The leaves that are to be made, and the first one if it must become longer. */
  #leavesFor(count: number, filled: boolean): number[] {
    const wanted: number[] = [];
    if (this.#firstLeafRoom > 0 && this.#firstLeafRoom < leafRoom(0, count)) wanted.push(0);
    for (let leaf = leafOf(this.#count); filled && leaf < leavesFor(count); leaf++) {
      if (leaf >= leavesFor(this.#count) || this.#leafAt(leaf) === NO_LEAF) wanted.push(leaf);
    }
    return wanted;
  }

  #setLeaf(leaf: number, { start, room }: Run): void {
    if (leaf === 0) this.#firstLeafRoom = room;
    this.#arena.store(this.offset + leaf, start);
  }

  #removeLeaf(leaf: number): void {
    const start = this.#leafAt(leaf);
    if (start === NO_LEAF) return;
    this.#arena.store(this.offset + leaf, NO_LEAF);
    this.#arena.free(start, leaf === 0 ? this.#firstLeafRoom : CLUSTERS_PER_LEAF);
    if (leaf === 0) this.#firstLeafRoom = 0;
  }

  /** Clears what the leaf of entry `count` has from that entry on: it is left from before the table was cut. */
  #clearPast(count: number): void {
    const within = count % CLUSTERS_PER_LEAF;
    const leaf = within === 0 ? NO_LEAF : this.#leafAt(leafOf(count));
    if (leaf === NO_LEAF) return;
    const room = leafOf(count) === 0 ? this.#firstLeafRoom : CLUSTERS_PER_LEAF;
    this.#arena.fill(UNALLOCATED, leaf + within, leaf + room);
  }

  #pastEnd(index: number): never {
    throw new InvariantError(`cluster ${index} is past the end of a map of ${this.#count}`);
  }
}

function allocate(arena: MapArena, count: number): Run {
  return { start: arena.allocate(count), room: MapArena.runLength(count) };
}

function leafOf(index: number): number {
  return Math.floor(index / CLUSTERS_PER_LEAF);
}

/** The entries that a leaf of a table of `count` entries has room for. Only the first leaf can be short. */
function leafRoom(leaf: number, count: number): number {
  return leaf === 0 ? Math.min(count, CLUSTERS_PER_LEAF) : CLUSTERS_PER_LEAF;
}

function leavesFor(count: number): number {
  return Math.ceil(count / CLUSTERS_PER_LEAF);
}
