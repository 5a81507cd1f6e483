/**
 * A growing list of 32-bit entries in the shared arena: the numbers of a blob's extent pages. Only the metadata thread
 * writes it; any thread reads it.
 */

import { MapArena } from '../shared/map-arena.js';
import { InvariantError } from '../units/error.js';

/**
 * A growing list in the arena. The object belongs to the metadata thread; other threads read the entries by their
 * offset.
 */
export class ArenaRun {
  readonly #arena: MapArena;
  #start: number;
  #room: number;
  #count = 0;

  constructor(arena: MapArena) {
    this.#arena = arena;
    this.#start = arena.allocate(1);
    this.#room = MapArena.runLength(1);
  }

  /** Where entry 0 lies in the arena. Changes when the list is moved to a longer run. */
  get offset(): number {
    return this.#start;
  }

  get count(): number {
    return this.#count;
  }

  get(index: number): number {
    if (index >= this.#count) this.#pastEnd(index);
    return this.#arena.load(this.#start + index);
  }

  set(index: number, value: number): void {
    if (index >= this.#count) this.#pastEnd(index);
    this.#arena.store(this.#start + index, value);
  }

  /** A view of all entries, valid until any list grows. Metadata thread. */
  entries(): Uint32Array {
    return this.#arena.window(this.#start, this.#count);
  }

  /**
   * Makes the list longer; new entries are 0. The blob must be frozen and drained, because the list may move. Throws
   * ENOMEM when the arena is full.
   */
  extend(count: number): void {
    if (count <= this.#count) return;
    if (count > this.#room) this.#move(count);
    this.#arena.fill(0, this.#start + this.#count, this.#start + count);
    this.#count = count;
  }

  /** Makes the list shorter. */
  truncate(count: number): void {
    this.#count = Math.min(this.#count, count);
  }

  /** Sets all entries to 0. */
  clear(): void {
    this.#arena.fill(0, this.#start, this.#start + this.#count);
  }

  /** Frees the list's run. The list must not be used any more. */
  free(): void {
    this.#arena.free(this.#start, this.#room);
    this.#count = 0;
    this.#room = 0;
  }

  #pastEnd(index: number): never {
    throw new InvariantError(`entry ${index} is past the end of a list of ${this.#count}`);
  }

  #move(count: number): void {
    const start = this.#arena.allocate(count);
    this.#arena.copy(start, this.#start, this.#start + this.#count);
    this.#arena.free(this.#start, this.#room);
    this.#start = start;
    this.#room = MapArena.runLength(count);
  }
}
