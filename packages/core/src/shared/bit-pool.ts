/**
 * The pool of clusters: a shared bit array that allocates its lowest clear bit, and keeps the count of clear bits.
 * Every call except `capacity` and `freeCount` needs the used lock.
 */

import { assert, InvariantError } from '../units/error.js';
import { NONE_U32 } from '../units/units.js';
import { BitArray, wordsForBits } from './bit-array.js';
import { STORE } from './layout.js';
import type { UsedLock } from './used-lock.js';

/** The pool of clusters. Any thread, with the used lock. */
export class BitPool {
  readonly #store: Int32Array;
  readonly #buffer: SharedArrayBuffer;
  readonly #lock: UsedLock;
  readonly #bits: BitArray;

  /** @param buffer - growable; its `maxByteLength` has room for the largest capacity that the pool will ever have */
  constructor(store: Int32Array, buffer: SharedArrayBuffer, lock: UsedLock) {
    this.#store = store;
    this.#buffer = buffer;
    this.#lock = lock;
    this.#bits = new BitArray(this.#words(this.capacity), this.capacity);
  }

  /** Bits in the pool. */
  get capacity(): number {
    return this.#store[STORE.POOL_CAPACITY] >>> 0;
  }

  /** The number of clear bits. Any thread, without a lock: the value may be out of date when it is used. */
  get freeCount(): number {
    return Atomics.load(this.#store, STORE.POOL_FREE) >>> 0;
  }

  /** Takes the lowest clear bit and returns it. Returns `NONE_U32` when there is none. */
  allocate(): number {
    const index = this.findFree();
    if (index !== NONE_U32) this.take(index);
    return index;
  }

  /** The lowest clear bit, or `NONE_U32`. Does not take it. */
  findFree(): number {
    return this.#guarded().findFirstClear(this.#store[STORE.POOL_LOWEST] >>> 0);
  }

  /** Takes the bit that `findFree` has returned. */
  take(index: number): void {
    this.#guarded().set(index);
    this.#store[STORE.POOL_LOWEST] = index + 1;
    Atomics.sub(this.#store, STORE.POOL_FREE, 1);
  }

  /**
   * Corrects the count (`POOL_FREE`) and the hint (`POOL_LOWEST`) after a thread has died: it may have changed the
   * bits, but not yet these two words.
   */
  rebuild(): void {
    const bits = this.#guarded();
    this.#store[STORE.POOL_LOWEST] = 0;
    Atomics.store(this.#store, STORE.POOL_FREE, bits.capacity - bits.countSet());
  }

  /** Frees a bit. Throws an `InvariantError` when it was free (double free). */
  free(index: number): void {
    const bits = this.#guarded();
    if (!bits.get(index)) throw new InvariantError(`cluster ${index} was freed twice`);
    bits.clear(index);
    if (index < this.#store[STORE.POOL_LOWEST] >>> 0) this.#store[STORE.POOL_LOWEST] = index;
    Atomics.add(this.#store, STORE.POOL_FREE, 1);
  }

  /** True when the bit is taken. False past the end. */
  isAllocated(index: number): boolean {
    return this.#guarded().get(index);
  }

  /** The bits, to read many of them while the lock is held. */
  bits(): Pick<BitArray, 'get' | 'capacity'> {
    return this.#guarded();
  }

  /** The number of clear bits, by counting them. Must equal `freeCount`. */
  countFree(): number {
    const bits = this.#guarded();
    return bits.capacity - bits.countSet();
  }

  /** Writes all bits as a mask. */
  storeMask(target: Uint8Array): void {
    this.#guarded().storeMask(target);
  }

  /** Sets the bits that are set in `source`, up to the capacity, which does not change. */
  load(source: BitArray): void {
    const bits = this.#guarded();
    bits.add(source);
    this.#store[STORE.POOL_LOWEST] = 0;
    Atomics.store(this.#store, STORE.POOL_FREE, bits.capacity - bits.countSet());
  }

  /** Raises the capacity; the new bits are clear. Metadata thread. */
  grow(capacity: number): void {
    assert(this.#lock.isHeld, 'the pool was used without the used lock');
    const added = capacity - this.capacity;
    assert(added >= 0, 'a pool cannot shrink');
    const bytes = wordsForBits(capacity) * 4;
    if (bytes > this.#buffer.byteLength) this.#buffer.grow(bytes);
    this.#store[STORE.POOL_CAPACITY] = capacity;
    Atomics.add(this.#store, STORE.POOL_FREE, added);
    this.#guarded();
  }

  /** The bits. Takes a new view first if another thread has grown the pool. */
  #guarded(): BitArray {
    assert(this.#lock.isHeld, 'the pool was used without the used lock');
    const capacity = this.capacity;
    if (this.#bits.capacity !== capacity) this.#bits.rebase(this.#words(capacity), capacity);
    return this.#bits;
  }

  #words(capacity: number): Uint32Array {
    return new Uint32Array(this.#buffer, 0, wordsForBits(capacity));
  }
}
