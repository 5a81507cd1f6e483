/**
 * A growing list of 32-bit entries in shared memory, most of which may be 0: a blob's cluster map, or the numbers of
 * its extent pages. It has two levels: a directory with an entry for each 512 entries, and leaves with the entries. A
 * leaf is made when one of its entries is set, so that a thin blob takes memory, and time to visit, for what is
 * written, not for its size. Only the metadata thread writes it; any thread reads it, by the offset of the directory
 * (`MapArena`).
 */

import { LEAF_ENTRIES, MapArena, NO_LEAF } from '../shared/map-arena.js';
import { InvariantError } from '../units/error.js';

/** A run of the arena: where it begins, and for how many entries. */
interface Run {
  readonly start: number;
  readonly room: number;
}

/** A list in the arena. The object belongs to the metadata thread. */
export class ArenaTable {
  readonly #arena: MapArena;
  /** Where each leaf begins, or `NO_LEAF`. */
  #directory: Run;
  #count = 0;
  /** The numbers of the leaves that were made, in ascending order. */
  readonly #leaves: number[] = [];
  /** The entries that the first leaf has room for; all other leaves have room for `LEAF_ENTRIES`. */
  #firstLeafRoom = 0;

  constructor(arena: MapArena) {
    this.#arena = arena;
    this.#directory = allocate(arena, 1);
  }

  /** Where the directory lies in the arena. Changes when it is moved to a longer run. */
  get offset(): number {
    return this.#directory.start;
  }

  get count(): number {
    return this.#count;
  }

  get(index: number): number {
    if (index >= this.#count) this.#pastEnd(index);
    return this.#arena.loadIn(this.offset, index);
  }

  /** Sets an entry. Throws ENOMEM, with nothing changed, when that needs a new leaf and the arena is full. */
  set(index: number, value: number): void {
    if (value !== 0) this.reserve(index);
    else if (index >= this.#count) this.#pastEnd(index);
    const leaf = this.#leafAt(leafOf(index));
    if (leaf !== NO_LEAF) this.#arena.store(leaf + (index % LEAF_ENTRIES), value);
  }

  /** Makes the leaf of an entry, so that `set` cannot fail. Throws ENOMEM when the arena is full. */
  reserve(index: number): void {
    if (index >= this.#count) this.#pastEnd(index);
    const leaf = leafOf(index);
    if (this.#leafAt(leaf) === NO_LEAF) this.#setLeaf(leaf, this.#newLeaf(leaf, this.#count));
  }

  /**
   * Makes the list longer; new entries are 0. The blob must be frozen and drained, because the directory and the first
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
    this.#clearPast(before);
    for (const [leaf, run] of leaves) {
      const old = this.#leafAt(leaf);
      if (old !== NO_LEAF) {
        this.#arena.copy(run.start, old, old + this.#firstLeafRoom);
        replaced.push({ start: old, room: this.#firstLeafRoom });
      }
      this.#setLeaf(leaf, run);
    }
    this.#count = count;
    // Freed last, and not allocated again before the caller has published the new offset: until then another thread may
    // read the old runs.
    for (const { start, room } of replaced) this.#arena.free(start, room);
  }

  /**
   * Makes the list shorter. The blob must be shorter already, so that no channel can read the entries that are cut off.
   * The caller publishes the blob (`Blob.publish`) before anything else is allocated in the arena.
   */
  truncate(count: number): void {
    if (count >= this.#count) return;
    this.#removeLeaves(leavesFor(count));
    this.#count = count;
  }

  /** Sets all entries to 0. Only while no channel can read them; the caller publishes the blob as after `truncate`. */
  clear(): void {
    this.#removeLeaves(0);
  }

  /** Frees all that the list has in the arena. The list must not be used any more. */
  free(): void {
    this.clear();
    this.#arena.free(this.#directory.start, this.#directory.room);
    this.#count = 0;
  }

  /**
   * Calls a function for each entry that is not 0, from `start` up to, not including, `end`, in ascending order. The
   * function may set entries; in this list only to 0. The time follows the number of leaves between `start` and `end`,
   * not of entries.
   */
  forEachSet(visit: (value: number, index: number) => void, start = 0, end = this.#count): void {
    const past = Math.min(end, this.#count);
    for (let at = placeIn(this.#leaves, leafOf(start)); at < this.#leaves.length; at++) {
      const leaf = this.#leaves[at];
      const first = leaf * LEAF_ENTRIES;
      if (first >= past) return;
      const from = Math.max(start, first);
      const length = Math.min(past, first + LEAF_ENTRIES) - from;
      const entries = this.#arena.window(this.#leafAt(leaf) + from - first, Math.max(0, length));
      for (let entry = 0; entry < entries.length; entry++) {
        if (entries[entry] !== 0) visit(entries[entry], from + entry);
      }
    }
  }

  /**
   * Calls a function for each leaf that both this list and another one have, for the entries below `end`. The function
   * gets a view of the entries of each list, valid until the arena grows, and the index of the first entry.
   */
  forEachLeaf(other: ArenaTable, end: number, visit: (own: Uint32Array, theirs: Uint32Array, first: number) => void) {
    const past = Math.min(end, this.#count, other.#count);
    for (const leaf of this.#leaves) {
      const first = leaf * LEAF_ENTRIES;
      const length = Math.min(past - first, LEAF_ENTRIES);
      if (length <= 0) return;
      const theirs = other.#leafAt(leaf);
      if (theirs === NO_LEAF) continue;
      visit(this.#arena.window(this.#leafAt(leaf), length), this.#arena.window(theirs, length), first);
    }
  }

  /** The number of entries before `end` that are not 0. */
  countSet(end: number): number {
    let count = 0;
    this.forEachSet(() => count++, 0, end);
    return count;
  }

  #leafAt(leaf: number): number {
    return this.#arena.peek(this.offset + leaf);
  }

  /** Allocates what `extend` needs. Throws ENOMEM with nothing allocated. */
  #allocateFor(count: number, filled: boolean): { directory: Run | undefined; leaves: [number, Run][] } {
    const leaves: [number, Run][] = [];
    let directory: Run | undefined;
    try {
      if (leavesFor(count) > this.#directory.room) directory = allocate(this.#arena, leavesFor(count));
      if (this.#firstLeafRoom > 0 && this.#firstLeafRoom < leafRoom(0, count))
        leaves.push([0, this.#newLeaf(0, count)]);
      for (let leaf = leafOf(this.#count); filled && leaf < leavesFor(count); leaf++) {
        const isThere = leaf < leavesFor(this.#count) && this.#leafAt(leaf) !== NO_LEAF;
        if (!isThere) leaves.push([leaf, this.#newLeaf(leaf, count)]);
      }
    } catch (error) {
      if (directory !== undefined) this.#arena.free(directory.start, directory.room);
      for (const [, { start, room }] of leaves) this.#arena.free(start, room);
      throw error;
    }
    return { directory, leaves };
  }

  /** Allocates a leaf of a list of `count` entries, all of them 0. */
  #newLeaf(leaf: number, count: number): Run {
    const run = allocate(this.#arena, leafRoom(leaf, count));
    this.#arena.fill(0, run.start, run.start + run.room);
    return run;
  }

  #setLeaf(leaf: number, { start, room }: Run): void {
    if (leaf === 0) this.#firstLeafRoom = room;
    if (this.#leafAt(leaf) === NO_LEAF) insertSorted(this.#leaves, leaf);
    this.#arena.store(this.offset + leaf, start);
  }

  /** Removes the leaves from number `from` on. */
  #removeLeaves(from: number): void {
    for (let last = this.#leaves.at(-1); last !== undefined && last >= from; last = this.#leaves.at(-1)) {
      const start = this.#leafAt(last);
      this.#arena.store(this.offset + last, NO_LEAF);
      this.#arena.free(start, last === 0 ? this.#firstLeafRoom : LEAF_ENTRIES);
      if (last === 0) this.#firstLeafRoom = 0;
      this.#leaves.pop();
    }
  }

  /** Clears the leaf of entry `count` from that entry on: old values are left there after `truncate`. */
  #clearPast(count: number): void {
    const within = count % LEAF_ENTRIES;
    const leaf = within === 0 ? NO_LEAF : this.#leafAt(leafOf(count));
    if (leaf === NO_LEAF) return;
    const room = leafOf(count) === 0 ? this.#firstLeafRoom : LEAF_ENTRIES;
    this.#arena.fill(0, leaf + within, leaf + room);
  }

  #pastEnd(index: number): never {
    throw new InvariantError(`entry ${index} is past the end of a list of ${this.#count}`);
  }
}

function allocate(arena: MapArena, count: number): Run {
  return { start: arena.allocate(count), room: MapArena.runLength(count) };
}

function leafOf(index: number): number {
  return Math.floor(index / LEAF_ENTRIES);
}

/** The entries that a leaf of a list of `count` entries has room for. Only the first leaf can be short. */
function leafRoom(leaf: number, count: number): number {
  return leaf === 0 ? Math.min(count, LEAF_ENTRIES) : LEAF_ENTRIES;
}

function leavesFor(count: number): number {
  return Math.ceil(count / LEAF_ENTRIES);
}

/** The place of the first number of an ascending list that is at least `value`. */
function placeIn(list: readonly number[], value: number): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Inserts a number into an ascending list that does not contain it. */
function insertSorted(list: number[], value: number): void {
  list.splice(placeIn(list, value), 0, value);
}
