/**
 * The blob blocks of a store: for each open blob the words that a channel needs to serve it. Slots are given out and written
 * by the metadata thread alone; any thread reads. The table grows in place; a thread that has not seen it grow takes a new
 * view when it meets a slot past the end of its own.
 */

import { BlobstoreError } from '../units/error.js';
import { BLOB, BLOB_FLAG, OPEN_BLOBS_MAX } from './layout.js';

const BLOCK_BYTES = BLOB.WORDS * 4;
const FIRST_SLOTS = 64;
/** Longest wait for a thaw before the waiter looks around, in milliseconds: a net under the protocol. */
const THAW_WAIT_MS = 100;

/** What `admit` answers when the operation must take the long way. */
export const NOT_ADMITTED = -1;

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

  /** True for the number of a slot that the table has room for now. Any thread. */
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
   * Reads a word that changes only while its blob is frozen and drained: plainly, because whoever has entered the blob and
   * seen it not frozen has seen all changes before. Any thread that is inside the blob.
   */
  peek(slot: number, word: number): number {
    return this.#words[slot * BLOB.WORDS + word] >>> 0;
  }

  /**
   * Where the map of a blob begins in the arena, if an operation on one of its clusters may go on at once: it is not frozen,
   * still the same blob, has the cluster, and can be written if the operation writes; otherwise `NOT_ADMITTED`. Metadata
   * thread; another one once it is inside the blob and has seen it not frozen. Words are read plainly: they change only while the
   * blob is frozen and drained, but for the flag that makes it read-only.
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

  /** Adds to a word of a slot, and answers what it holds then. Metadata thread. */
  add(slot: number, word: number, delta: number): number {
    return Atomics.add(this.#words, slot * BLOB.WORDS + word, delta) + delta;
  }

  /** Takes a slot, all words but the generation 0. Metadata thread. ENOMEM when too many blobs are open. */
  allocate(): number {
    const slot = this.#freeSlots.pop() ?? this.#slotCount++;
    if ((slot + 1) * BLOCK_BYTES > this.buffer.byteLength) this.#grow(slot);
    for (let word = 0; word < BLOB.WORDS; word++) {
      if (word !== BLOB.GENERATION) this.store(slot, word, 0);
    }
    this.add(slot, BLOB.GENERATION, 1);
    return slot;
  }

  /**
   * Gives a slot back; handles that name its old generation no longer fit. That comes first, or another thread would see an
   * empty blob where there is none any more; and the thaw last. Metadata thread.
   */
  free(slot: number): void {
    this.add(slot, BLOB.GENERATION, 1);
    this.store(slot, BLOB.FLAGS, 0);
    this.store(slot, BLOB.CLUSTER_COUNT, 0);
    this.store(slot, BLOB.FROZEN, 0);
    this.#freeSlots.push(slot);
  }

  /**
   * Stops this thread while a blob is frozen, but not for longer than `THAW_WAIT_MS`: the caller looks again, and whether the
   * store has ended. Any thread but the metadata thread.
   */
  blockWhileFrozen(slot: number): void {
    const frozen = this.load(slot, BLOB.FROZEN);
    if (frozen !== 0) Atomics.wait(this.#words, slot * BLOB.WORDS + BLOB.FROZEN, frozen, THAW_WAIT_MS);
  }

  /** As `blockWhileFrozen`, without stopping the thread. */
  async waitWhileFrozen(slot: number): Promise<void> {
    const frozen = this.load(slot, BLOB.FROZEN);
    if (frozen === 0) return;
    const waiting = Atomics.waitAsync(this.#words, slot * BLOB.WORDS + BLOB.FROZEN, frozen, THAW_WAIT_MS);
    if (waiting.async) await waiting.value;
  }

  /** Wakes those who wait until a blob is thawed. Metadata thread, after it has changed the frozen count. */
  wakeFrozen(slot: number): void {
    Atomics.notify(this.#words, slot * BLOB.WORDS + BLOB.FROZEN);
  }

  /** Wakes those who wait for any blob. Any thread. */
  wakeAll(): void {
    this.#refresh();
    for (let at = BLOB.FROZEN; at < this.#words.length; at += BLOB.WORDS) Atomics.notify(this.#words, at);
  }

  /** Sets a bit above the frozen count of every block: once for all, whoever else does. Any thread, when the store has ended. */
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
