/**
 * The blob blocks of a store: for each open blob, the words that a channel needs to serve it. Only the metadata thread
 * allocates and writes slots; any thread reads them. The table grows in place. A thread takes a new view of it when it
 * gets a slot past the end of its current one.
 */

import { BlobstoreError } from '../units/error.js';
import { BLOB, BLOB_FLAG, OPEN_BLOBS_MAX } from './layout.js';

const BLOCK_BYTES = BLOB.WORDS * 4;
const FIRST_SLOTS = 64;
/**
 * The longest wait for a thaw before the waiter checks again, in milliseconds. A safety net: wake-ups do not depend on
 * it.
 */
const THAW_WAIT_MS = 100;

/** The result of `admit` when the operation must take the slow path. */
export const NOT_ADMITTED = -1;

/** The table of blob blocks. */
export class BlobBlocks {
  readonly buffer: SharedArrayBuffer;
  #words: Int32Array;
  #freeSlots: number[] = [];
  #slotCount = 0;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer =
      buffer ?? new SharedArrayBuffer(FIRST_SLOTS * BLOCK_BYTES, { maxByteLength: OPEN_BLOBS_MAX * BLOCK_BYTES });
    this.#words = new Int32Array(this.buffer, 0, this.buffer.byteLength / 4);
  }

  /** True for the number of a slot that the table has now. False for any other value. Any thread. */
  hasSlot(slot: number): boolean {
    if (!Number.isInteger(slot) || slot < 0) return false;
    const end = (slot + 1) * BLOB.WORDS;
    return end <= this.#words.length || end * 4 <= this.buffer.byteLength;
  }

  /** Reads a word of a slot. Any thread. */
  load(slot: number, word: number): number {
    const at = slot * BLOB.WORDS + word;
    if (at >= this.#words.length) this.#refresh();
    return Atomics.load(this.#words, at);
  }

  /**
   * Reads a word that changes only while its blob is frozen and drained. The read is not atomic: a thread that has
   * entered the blob, and then seen that it is not frozen, has seen all earlier changes. Any thread that is inside the
   * blob.
   */
  peek(slot: number, word: number): number {
    return this.#words[slot * BLOB.WORDS + word] >>> 0;
  }

  /**
   * Checks whether an operation on one cluster of a blob may go on at once: the blob is not frozen, its generation is
   * still the given one, it has the cluster, and, for a write, it is not read-only. Returns where the blob's map begins
   * in the arena, otherwise `NOT_ADMITTED`.
   *
   * The metadata thread; any other thread once it is inside the blob and has seen that it is not frozen. The reads are
   * not atomic: the words change only while the blob is frozen and drained, except the flag that makes it read-only.
   */
  admit(slot: number, generation: number, cluster: number, isWrite: boolean): number {
    const at = slot * BLOB.WORDS;
    if (at >= this.#words.length) this.#refresh();
    const words = this.#words;
    const isAdmitted =
      words[at + BLOB.FROZEN] === 0 &&
      words[at + BLOB.GENERATION] === generation &&
      cluster < words[at + BLOB.CLUSTER_COUNT] >>> 0 &&
      !(isWrite && (words[at + BLOB.FLAGS] & BLOB_FLAG.DATA_RO) !== 0);
    return isAdmitted ? words[at + BLOB.MAP_OFFSET] >>> 0 : NOT_ADMITTED;
  }

  /** Writes a word of a slot. Metadata thread. */
  store(slot: number, word: number, value: number): void {
    Atomics.store(this.#words, slot * BLOB.WORDS + word, value);
  }

  /** Adds to a word of a slot, and returns the new value. Metadata thread. */
  add(slot: number, word: number, delta: number): number {
    return Atomics.add(this.#words, slot * BLOB.WORDS + word, delta) + delta;
  }

  /**
   * Allocates a slot. Sets all its words to 0, except the generation, which it raises. Metadata thread. Throws ENOMEM
   * when too many blobs are open.
   */
  allocate(): number {
    const slot = this.#freeSlots.pop() ?? this.#slotCount++;
    if ((slot + 1) * BLOCK_BYTES > this.buffer.byteLength) this.#grow(slot);
    const at = slot * BLOB.WORDS;
    for (let word = 0; word < BLOB.WORDS; word++) {
      if (word !== BLOB.GENERATION) this.#words[at + word] = 0; // not atomic: no thread has a valid generation for it
    }
    this.add(slot, BLOB.GENERATION, 1);
    return slot;
  }

  /**
   * Frees a slot. Raises the generation first, so that no thread takes the cleared words for those of an empty blob:
   * old handles do not match any more. Thaws last. Metadata thread.
   */
  free(slot: number): void {
    this.add(slot, BLOB.GENERATION, 1);
    this.store(slot, BLOB.FLAGS, 0);
    this.store(slot, BLOB.CLUSTER_COUNT, 0);
    this.store(slot, BLOB.FROZEN, 0);
    this.#freeSlots.push(slot);
  }

  /**
   * Blocks this thread while a blob is frozen, for at most `THAW_WAIT_MS`. The caller must check again then, also
   * whether the store has ended. Any thread but the metadata thread.
   */
  blockWhileFrozen(slot: number): void {
    const frozen = this.load(slot, BLOB.FROZEN);
    if (frozen !== 0) Atomics.wait(this.#words, slot * BLOB.WORDS + BLOB.FROZEN, frozen, THAW_WAIT_MS);
  }

  /** As `blockWhileFrozen`, but without blocking the thread. */
  async waitWhileFrozen(slot: number): Promise<void> {
    const frozen = this.load(slot, BLOB.FROZEN);
    if (frozen === 0) return;
    const waiting = Atomics.waitAsync(this.#words, slot * BLOB.WORDS + BLOB.FROZEN, frozen, THAW_WAIT_MS);
    if (waiting.async) await waiting.value;
  }

  /** Wakes all threads that wait for a blob to be thawed. Metadata thread, after it has changed the frozen count. */
  wakeFrozen(slot: number): void {
    Atomics.notify(this.#words, slot * BLOB.WORDS + BLOB.FROZEN);
  }

  /** Wakes all threads that wait for any blob. Any thread. */
  wakeAll(): void {
    this.#refresh();
    for (let at = BLOB.FROZEN; at < this.#words.length; at += BLOB.WORDS) Atomics.notify(this.#words, at);
  }

  /**
   * Sets a bit above the frozen count in every block. Several threads may do so; the effect is the same. Any thread,
   * once the store has ended.
   */
  freezeAll(bit: number): void {
    this.#refresh();
    for (let at = BLOB.FROZEN; at < this.#words.length; at += BLOB.WORDS) Atomics.or(this.#words, at, bit);
  }

  #grow(slot: number): void {
    if (slot >= OPEN_BLOBS_MAX) {
      this.#slotCount--;
      throw new BlobstoreError('ENOMEM', `${OPEN_BLOBS_MAX} blobs are open already: close some first`);
    }
    this.buffer.grow(Math.min(this.buffer.byteLength * 2, OPEN_BLOBS_MAX * BLOCK_BYTES));
    this.#refresh();
  }

  #refresh(): void {
    this.#words = new Int32Array(this.buffer, 0, this.buffer.byteLength / 4);
  }
}
