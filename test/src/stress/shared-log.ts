/**
 * The state that the threads of a round share: a logical clock, a list of blobs, and for each writer a log of its
 * writes and reads with their moments. All is in shared memory, so that the operations of a killed thread are known,
 * too.
 *
 * The clock is a counter. An event with a number took place after all events with lower numbers.
 */

/** The number of blocks of the largest blob. */
export const BLOCKS_MAX = 256;
/** The greatest number of blobs in a round, deleted ones included. */
export const BLOBS_MAX = 320;
/** The greatest number of writers: threads, and metadata sides. */
export const WRITERS_MAX = 16;

const CONTROL = {
  CLOCK: 0,
  STOP: 1,
  BLOBS: 2,
  ARRIVED: 3,
  OPERATIONS: 16,
  READS: 32,
  FIRST_SEQUENCE: 48,
  WORDS: 64,
} as const;

export const BLOB_STATE = { NONE: 0, WRITABLE: 1, SNAPSHOT: 2, DELETING: 3 } as const;
export type BlobState = (typeof BLOB_STATE)[keyof typeof BLOB_STATE];
const ENTRY = { STATE: 0, PAGE: 1, BLOCKS: 2, LEAST_BLOCKS: 3, WORDS: 4 } as const;

/**
 * The kinds of changes. A shrink cuts blocks off from its first one on; after a later growth these are new. A flush
 * changes no block, and is in the log because of its moments.
 */
export const CHANGE = { WRITE: 1, ZERO: 2, TRIM: 3, SHRINK: 4, FLUSH: 5 } as const;
export type ChangeKind = (typeof CHANGE)[keyof typeof CHANGE];
/** The status of an operation. For one that failed it is the (positive) errno; `KILLED`: its thread was killed. */
export const STATUS = { UNDER_WAY: 0, DONE: -1, KILLED: -2 } as const;

const OPERATION = { KIND: 0, BLOB: 1, FIRST: 2, COUNT: 3, BEGIN: 4, END: 5, STATUS: 6, WORDS: 7 } as const;
const READ = { BLOB: 0, BLOCK: 1, TOKEN: 2, BEGIN: 3, END: 4, WORDS: 5 } as const;

/** A change in the log, for the checker. */
export interface LoggedChange {
  readonly kind: ChangeKind;
  readonly blob: number;
  readonly first: number;
  readonly count: number;
  readonly begin: number;
  readonly end: number;
  readonly status: number;
  readonly token: number;
}

/** A part of a block that was read, for the checker. */
export interface LoggedRead {
  readonly writer: number;
  readonly blob: number;
  readonly block: number;
  readonly token: number;
  readonly begin: number;
  readonly end: number;
}

export interface LogSizes {
  /** The greatest number of operations that a writer can log in a round. */
  readonly operationsMax: number;
  /** The greatest number of blocks that it can log as read. Further reads are not logged. */
  readonly readsMax: number;
}

/** A plain object, which can be posted to threads. */
export interface LogBuffers extends LogSizes {
  readonly control: SharedArrayBuffer;
  readonly blobs: SharedArrayBuffer;
  /** For each block of a snapshot, the signature of its contents. */
  readonly truth: SharedArrayBuffer;
  readonly operations: SharedArrayBuffer;
  readonly reads: SharedArrayBuffer;
}

export function allocateLog(sizes: LogSizes): LogBuffers {
  const words = (count: number) => new SharedArrayBuffer(count * 4);
  return {
    ...sizes,
    control: words(CONTROL.WORDS),
    blobs: words(BLOBS_MAX * ENTRY.WORDS),
    truth: words(BLOBS_MAX * BLOCKS_MAX),
    operations: words(WRITERS_MAX * sizes.operationsMax * OPERATION.WORDS),
    reads: words(WRITERS_MAX * sizes.readsMax * READ.WORDS),
  };
}

export class SharedLog {
  readonly buffers: LogBuffers;
  readonly #control: Int32Array;
  readonly #blobs: Int32Array;
  readonly #truth: Uint32Array;
  readonly #operations: Int32Array;
  readonly #reads: Int32Array;

  constructor(buffers: LogBuffers) {
    this.buffers = buffers;
    this.#control = new Int32Array(buffers.control);
    this.#blobs = new Int32Array(buffers.blobs);
    this.#truth = new Uint32Array(buffers.truth);
    this.#operations = new Int32Array(buffers.operations);
    this.#reads = new Int32Array(buffers.reads);
  }

  /** Draws the next number of the clock. Any thread. */
  now(): number {
    return Atomics.add(this.#control, CONTROL.CLOCK, 1) + 1;
  }

  get isStopped(): boolean {
    return Atomics.load(this.#control, CONTROL.STOP) !== 0;
  }

  stop(): void {
    Atomics.store(this.#control, CONTROL.STOP, 1);
  }

  /** Records that a thread is ready to work. */
  arrive(): void {
    Atomics.add(this.#control, CONTROL.ARRIVED, 1);
  }

  /** Waits until `count` threads are ready, or the round stops. */
  async allArrived(count: number): Promise<void> {
    while (Atomics.load(this.#control, CONTROL.ARRIVED) < count && !this.isStopped) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Sets the number with which a writer's tokens begin in this round. */
  setFirstSequence(writer: number, sequence: number): void {
    this.#control[CONTROL.FIRST_SEQUENCE + writer] = sequence;
  }

  /** The number with which a writer's tokens begin in the next round. */
  nextSequence(writer: number): number {
    return this.#control[CONTROL.FIRST_SEQUENCE + writer] + this.operationCount(writer);
  }

  get blobCount(): number {
    return Atomics.load(this.#control, CONTROL.BLOBS);
  }

  /** Allocates an index in the list of blobs; undefined if the list is full. Only called by metadata sides. */
  addBlob(): number | undefined {
    const blob = this.blobCount;
    if (blob === BLOBS_MAX) return undefined;
    Atomics.store(this.#control, CONTROL.BLOBS, blob + 1);
    return blob;
  }

  /** Makes a blob visible to the threads. Only called by metadata sides. */
  publish(blob: number, id: bigint, blocks: number, state: BlobState): void {
    const at = blob * ENTRY.WORDS;
    this.#blobs[at + ENTRY.PAGE] = Number(id & 0xffff_ffffn);
    Atomics.store(this.#blobs, at + ENTRY.BLOCKS, blocks);
    Atomics.store(this.#blobs, at + ENTRY.LEAST_BLOCKS, blocks);
    Atomics.store(this.#blobs, at + ENTRY.STATE, state);
  }

  state(blob: number): BlobState {
    return Atomics.load(this.#blobs, blob * ENTRY.WORDS + ENTRY.STATE) as BlobState;
  }

  setState(blob: number, state: BlobState): void {
    Atomics.store(this.#blobs, blob * ENTRY.WORDS + ENTRY.STATE, state);
  }

  id(blob: number): bigint {
    return (1n << 32n) | BigInt(this.#blobs[blob * ENTRY.WORDS + ENTRY.PAGE] >>> 0);
  }

  /** About the number of blocks of a blob. A resize may be under way. */
  blocks(blob: number): number {
    return Atomics.load(this.#blobs, blob * ENTRY.WORDS + ENTRY.BLOCKS);
  }

  /** The smallest number of blocks that a blob may have had in this round. */
  leastBlocks(blob: number): number {
    return Atomics.load(this.#blobs, blob * ENTRY.WORDS + ENTRY.LEAST_BLOCKS);
  }

  /** Sets the number of blocks of a blob. Called before and after a resize. */
  setBlocks(blob: number, blocks: number): void {
    Atomics.store(this.#blobs, blob * ENTRY.WORDS + ENTRY.BLOCKS, blocks);
    const least = Math.min(this.leastBlocks(blob), blocks);
    Atomics.store(this.#blobs, blob * ENTRY.WORDS + ENTRY.LEAST_BLOCKS, least);
  }

  /** Sets the signature of a block of a snapshot, with which all threads compare. Called before `publish`. */
  setTruth(blob: number, block: number, signature: number): void {
    this.#truth[blob * BLOCKS_MAX + block] = signature;
  }

  truth(blob: number, block: number): number {
    return this.#truth[blob * BLOCKS_MAX + block];
  }

  operationCount(writer: number): number {
    return Atomics.load(this.#control, CONTROL.OPERATIONS + writer);
  }

  readCount(writer: number): number {
    return Atomics.load(this.#control, CONTROL.READS + writer);
  }

  isFull(writer: number): boolean {
    return this.operationCount(writer) >= this.buffers.operationsMax;
  }

  /** Logs the begin of a change. Returns its index among the writer's operations. Only on the writer's own thread. */
  begin(writer: number, kind: ChangeKind, blob: number, first: number, count: number): number {
    const index = this.operationCount(writer);
    const words = this.#operations;
    const at = this.#operationAt(writer, index);
    words[at + OPERATION.KIND] = kind;
    words[at + OPERATION.BLOB] = blob;
    words[at + OPERATION.FIRST] = first;
    words[at + OPERATION.COUNT] = count;
    words[at + OPERATION.BEGIN] = this.now();
    Atomics.store(this.#control, CONTROL.OPERATIONS + writer, index + 1);
    return index;
  }

  /** The token of a write, which is never 0. */
  token(writer: number, index: number): number {
    return (((writer + 1) << 27) | (this.#control[CONTROL.FIRST_SEQUENCE + writer] + index)) >>> 0;
  }

  /** Logs the end of a change. */
  end(writer: number, index: number, status: number): void {
    const at = this.#operationAt(writer, index);
    this.#operations[at + OPERATION.END] = this.now();
    Atomics.store(this.#operations, at + OPERATION.STATUS, status);
  }

  /** Ends all operations of a dead writer as killed. Returns their number. */
  endAllOf(writer: number): number {
    let count = 0;
    for (let index = 0; index < this.operationCount(writer); index++) {
      if (this.#operations[this.#operationAt(writer, index) + OPERATION.STATUS] !== STATUS.UNDER_WAY) continue;
      this.end(writer, index, STATUS.KILLED);
      count++;
    }
    return count;
  }

  logRead(writer: number, blob: number, block: number, token: number, begin: number, end: number): void {
    const index = this.readCount(writer);
    if (index >= this.buffers.readsMax) return;
    const at = (writer * this.buffers.readsMax + index) * READ.WORDS;
    this.#reads[at + READ.BLOB] = blob;
    this.#reads[at + READ.BLOCK] = block;
    this.#reads[at + READ.TOKEN] = token;
    this.#reads[at + READ.BEGIN] = begin;
    this.#reads[at + READ.END] = end;
    Atomics.store(this.#control, CONTROL.READS + writer, index + 1);
  }

  /** All changes of the round, for the checker. */
  *changes(): Generator<LoggedChange> {
    for (let writer = 0; writer < WRITERS_MAX; writer++) {
      for (let index = 0; index < this.operationCount(writer); index++) {
        const at = this.#operationAt(writer, index);
        const word = (offset: number) => this.#operations[at + offset];
        yield {
          kind: word(OPERATION.KIND) as ChangeKind,
          blob: word(OPERATION.BLOB),
          first: word(OPERATION.FIRST),
          count: word(OPERATION.COUNT),
          begin: word(OPERATION.BEGIN),
          end: word(OPERATION.END),
          status: word(OPERATION.STATUS),
          token: this.token(writer, index),
        };
      }
    }
  }

  *loggedReads(): Generator<LoggedRead> {
    const { readsMax } = this.buffers;
    for (let writer = 0; writer < WRITERS_MAX; writer++) {
      for (let index = 0; index < this.readCount(writer); index++) {
        const at = (writer * readsMax + index) * READ.WORDS;
        const word = (offset: number) => this.#reads[at + offset];
        yield {
          writer,
          blob: word(READ.BLOB),
          block: word(READ.BLOCK),
          token: word(READ.TOKEN) >>> 0,
          begin: word(READ.BEGIN),
          end: word(READ.END),
        };
      }
    }
  }

  #operationAt(writer: number, index: number): number {
    return (writer * this.buffers.operationsMax + index) * OPERATION.WORDS;
  }
}
