/** The ring of requests: the client writes it, the worker reads it. See `ring-layout.ts` for the entries. */

import { Bell, type BellHooks } from './bell.js';
import { RING, type RingBuffers, SUBMISSION, SUBMISSION_F64, submissionsAt, words } from './ring-layout.js';
import type { RingRequest } from './ring-request.js';

/** The client's side. */
export class SubmissionWriter {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #mask: number;
  readonly #bell: Bell;
  #tail = 0;
  /** A request was published after the last `ring`. */
  #isSilent = false;

  constructor({ ring, entries }: RingBuffers) {
    this.#header = words(ring, 0, RING.WORDS);
    this.#words = words(ring, submissionsAt(), entries * SUBMISSION.WORDS);
    this.#floats = new Float64Array(ring, submissionsAt(), entries * SUBMISSION_F64.LENGTH);
    this.#mask = entries - 1;
    this.#bell = new Bell(this.#header, RING.WORKER_ASLEEP, RING.WORKER_BELL);
  }

  /** Publishes a request. The tag must be free. `ring` must follow, at the latest at the end of the turn. */
  push(tag: number, request: RingRequest): void {
    const entry = this.#tail & this.#mask;
    const all = this.#words;
    const at = entry * SUBMISSION.WORDS;
    all[at + SUBMISSION.TAG] = tag;
    all[at + SUBMISSION.OP] = request.op;
    all[at + SUBMISSION.SLOT] = request.slot;
    all[at + SUBMISSION.GENERATION] = request.generation;
    all[at + SUBMISSION.MEMORY] = request.memory;
    all[at + SUBMISSION.SEGMENTS] = request.segments;
    const floats = this.#floats;
    const place = entry * SUBMISSION_F64.LENGTH;
    floats[place + SUBMISSION_F64.OFFSET] = request.offset;
    floats[place + SUBMISSION_F64.COUNT] = request.count;
    floats[place + SUBMISSION_F64.BYTE_OFFSET] = request.memoryOffset;
    floats[place + SUBMISSION_F64.BYTE_LENGTH] = request.byteLength;
    this.#tail = (this.#tail + 1) | 0;
    Atomics.store(this.#header, RING.SUBMITTED, this.#tail);
    this.#isSilent = true;
  }

  /** Wakes the worker if it sleeps. Does nothing if no request was published since the last call. */
  ring(): void {
    if (!this.#isSilent) return;
    this.#isSilent = false;
    this.#bell.ring();
  }
}

/** The worker's side: it takes an entry, and then reads its fields by the getters. */
export class SubmissionReader {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #mask: number;
  readonly #bell: Bell;
  #head = 0;
  #word = 0;
  #float = 0;

  constructor({ ring, entries }: RingBuffers, hooks?: BellHooks) {
    this.#header = words(ring, 0, RING.WORDS);
    this.#words = words(ring, submissionsAt(), entries * SUBMISSION.WORDS);
    this.#floats = new Float64Array(ring, submissionsAt(), entries * SUBMISSION_F64.LENGTH);
    this.#mask = entries - 1;
    this.#bell = new Bell(this.#header, RING.WORKER_ASLEEP, RING.WORKER_BELL, hooks);
  }

  /** The number of entries that are published and not taken. */
  get available(): number {
    return (Atomics.load(this.#header, RING.SUBMITTED) - this.#head) | 0;
  }

  /** Takes the next entry, which must be there. The getters below refer to it until the next call. */
  take(): void {
    const entry = this.#head & this.#mask;
    this.#word = entry * SUBMISSION.WORDS;
    this.#float = entry * SUBMISSION_F64.LENGTH;
    this.#head = (this.#head + 1) | 0;
  }

  get tag(): number {
    return this.#words[this.#word + SUBMISSION.TAG];
  }

  get op(): number {
    return this.#words[this.#word + SUBMISSION.OP];
  }

  get slot(): number {
    return this.#words[this.#word + SUBMISSION.SLOT];
  }

  get generation(): number {
    return this.#words[this.#word + SUBMISSION.GENERATION];
  }

  get memory(): number {
    return this.#words[this.#word + SUBMISSION.MEMORY];
  }

  get segments(): number {
    return this.#words[this.#word + SUBMISSION.SEGMENTS];
  }

  get offset(): number {
    return this.#floats[this.#float + SUBMISSION_F64.OFFSET];
  }

  get count(): number {
    return this.#floats[this.#float + SUBMISSION_F64.COUNT];
  }

  get byteOffset(): number {
    return this.#floats[this.#float + SUBMISSION_F64.BYTE_OFFSET];
  }

  get byteLength(): number {
    return this.#floats[this.#float + SUBMISSION_F64.BYTE_LENGTH];
  }

  /** Sleeps until there is an entry; see `Bell.sleep`. */
  sleep(hasWork: () => boolean, wake: () => void): boolean {
    return this.#bell.sleep(hasWork, wake);
  }

  /** Something other than an entry has woken the worker; see `Bell.rise`. */
  rise(): void {
    this.#bell.rise();
  }

  /** There will be no more entries; see `Bell.dismiss`. */
  dismiss(): void {
    this.#bell.dismiss();
  }
}
