/**
 * One writer: it executes the operations of its schedule on the blobs of the round, logs them, and checks what it
 * reads.
 */

import { BlobstoreError } from '@blobyard/core';
import type { Blob } from '@blobyard/workers';
import type { DataKind, DataOperation } from './schedule.js';
import { BLOB_STATE, CHANGE, type ChangeKind, type SharedLog, STATUS } from './shared-log.js';
import { BLOCK_BYTES, BLOCK_WORDS, putStamp, readStamp } from './stamp.js';

/** The methods that blobs of the store's own thread and those of attached threads have in common. */
export type DataBlob = Pick<
  Blob,
  | 'id'
  | 'sizeBytes'
  | 'read'
  | 'readv'
  | 'write'
  | 'writev'
  | 'writeZeroes'
  | 'trim'
  | 'readSync'
  | 'readvSync'
  | 'writeSync'
  | 'writevSync'
  | 'writeZeroesSync'
  | 'trimSync'
  | 'flush'
  | 'close'
>;

export interface ActorOptions {
  readonly log: SharedLog;
  readonly writer: number;
  readonly schedule: Generator<DataOperation, never>;
  open(id: bigint): Promise<DataBlob>;
  /** Undefined where the synchronous form is not available. */
  openSync?(id: bigint): DataBlob;
  /** True: the synchronous calls are available. */
  readonly hasSync: boolean;
  /** Allocates memory for transfers. */
  allocate(bytes: number): Uint8Array;
  /** True on the store's own thread, where a synchronous call may find a blob that this thread itself has frozen. */
  readonly isStoreThread: boolean;
  /** Whether other operations are under way on this thread, so that a synchronous call may be refused. */
  othersUnderWay?(): boolean;
}

/** The report of an actor. */
export interface ActorReport {
  readonly operations: number;
  readonly blocks: number;
  /** How often operations failed with each code. */
  readonly refused: Record<string, number>;
  readonly findings: string[];
}

interface Held {
  readonly blob: number;
  readonly handle: DataBlob;
  /** Whether the round listed it as a snapshot when it was opened. */
  readonly isSnapshot: boolean;
}

interface Transfer {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

/** The greatest number of handles that are kept open. */
const HELD_MAX = 5;
/** The greatest number of operations in promise form under way at once. */
const DEPTH_MAX = 6;
const TRANSFER_BLOCKS_MAX = 12;
/** The number of blocks at the begin of a blob that are used more often than others. */
const HOT_BLOCKS = 12;
/** The number of operations after which the event loop may turn. */
const OPERATIONS_IN_TURN = 24;
/** The greatest number of synchronous calls in one operation. */
const BURST_MAX = 24;
const FINDINGS_MAX = 8;
const FULL = ['ENOSPC', 'ENOMEM'];

export class Actor {
  readonly #options: ActorOptions;
  readonly #log: SharedLog;
  readonly #writer: number;
  readonly #held: Held[] = [];
  readonly #idle: Transfer[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #refused: Record<string, number> = {};
  readonly #findings: string[] = [];
  #operations = 0;
  #blocks = 0;

  constructor(options: ActorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#writer = options.writer;
    for (let index = 0; index <= DEPTH_MAX; index++) {
      const bytes = options.allocate(TRANSFER_BLOCKS_MAX * BLOCK_BYTES);
      this.#idle.push({ bytes, words: new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) });
    }
  }

  /** The number of operations in promise form that have not ended. */
  get underWay(): number {
    return this.#running.size;
  }

  /** Works until the round stops. Then no operation is under way, and all handles are closed. Returns the report. */
  async run(): Promise<ActorReport> {
    for (let count = 0; !this.#log.isStopped; count++) {
      await this.#execute(this.#options.schedule.next().value);
      if (count % OPERATIONS_IN_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      while (this.#running.size >= DEPTH_MAX) await Promise.race(this.#running);
    }
    await Promise.all(this.#running);
    for (const held of this.#held.splice(0)) await this.#close(held);
    return {
      operations: this.#operations,
      blocks: this.#blocks,
      refused: this.#refused,
      findings: this.#findings,
    };
  }

  async #execute(operation: DataOperation): Promise<void> {
    const { kind, isSync, blob: choice, at, length, variant } = operation;
    if (kind === 'rest') return new Promise((resolve) => setTimeout(resolve, variant % 3));
    if (kind === 'close') return this.#closeOne(choice);
    const isOfSnapshots = kind === 'readSnapshot' || kind === 'writeSnapshot';
    const held = await this.#choose(choice, isOfSnapshots, isSync);
    if (held === undefined) return;
    if (kind === 'flush') return this.#start(() => this.#flush(held));
    const blocks = this.#log.blocks(held.blob);
    if (blocks === 0 || (changeOf(kind) !== undefined && this.#log.isFull(this.#writer))) return;
    const first = at % (variant % 2 === 0 ? Math.min(blocks, HOT_BLOCKS) : blocks);
    const count = Math.min(length % 3 === 0 ? 1 + (length % TRANSFER_BLOCKS_MAX) : 1 + (length % 3), blocks - first);
    if (!isSync || !this.#options.hasSync) {
      this.#count(count);
      this.#start(() => this.#asPromise(kind, held, first, count, variant));
      return;
    }
    // A burst: synchronous calls one after another make races between threads most likely.
    const repeats = variant % 4 === 0 ? 1 + (variant % BURST_MAX) : 1;
    for (let index = 0; index < repeats && !this.#log.isFull(this.#writer); index++) {
      this.#count(count);
      this.#onThread(kind, held, (first + index * count) % Math.max(1, blocks - count + 1), count, variant);
    }
  }

  #count(blocks: number): void {
    this.#operations++;
    this.#blocks += blocks;
  }

  /** Starts an operation in promise form. */
  #start(begin: () => Promise<void>): void {
    const running = begin().finally(() => {
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /** Chooses a blob: mostly one that is open already, otherwise it opens another one. */
  async #choose(choice: number, isSnapshot: boolean, isSync: boolean): Promise<Held | undefined> {
    const fitting = this.#held.filter((held) => held.isSnapshot === isSnapshot);
    if (fitting.length > 0 && choice % 16 !== 0) return fitting[(choice >>> 4) % fitting.length];
    const wanted = isSnapshot ? BLOB_STATE.SNAPSHOT : BLOB_STATE.WRITABLE;
    const listed: number[] = [];
    for (let blob = 0; blob < this.#log.blobCount; blob++) if (this.#log.state(blob) === wanted) listed.push(blob);
    if (listed.length === 0) return undefined;
    const blob = listed[favour(choice >>> 4, listed.length)];
    const already = this.#held.find((held) => held.blob === blob);
    if (already) return already;
    if (this.#held.length >= HELD_MAX) await this.#closeOne(choice);
    return this.#open(blob, isSnapshot, isSync);
  }

  async #open(blob: number, isSnapshot: boolean, isSync: boolean): Promise<Held | undefined> {
    const log = this.#log;
    const wanted = isSnapshot ? BLOB_STATE.SNAPSHOT : BLOB_STATE.WRITABLE;
    const { open, openSync } = this.#options;
    try {
      const id = log.id(blob);
      const handle = isSync && openSync ? openSync(id) : await open(id);
      const held: Held = { blob, handle, isSnapshot };
      this.#held.push(held);
      if (log.state(blob) === wanted) return held;
      // The blob is being deleted, or was deleted, and another blob may have its id already.
      this.#held.pop();
      await this.#close(held);
      return undefined;
    } catch (error) {
      const code = this.#refusal(error);
      const isGone = log.state(blob) !== wanted;
      const isLegal =
        (code === 'ENOENT' && isGone) || (code === 'EBUSY' && (isGone || this.#mayBeBusy)) || code === 'ENOMEM';
      if (!isLegal) this.#find(`opening blob ${blob} failed: ${textOf(error)}`);
      return undefined;
    }
  }

  async #closeOne(choice: number): Promise<void> {
    if (this.#held.length === 0) return;
    const [held] = this.#held.splice(choice % this.#held.length, 1);
    await this.#close(held);
  }

  async #close(held: Held): Promise<void> {
    try {
      await held.handle.close();
    } catch (error) {
      if (!FULL.includes(this.#refusal(error))) this.#find(`closing blob ${held.blob} failed: ${textOf(error)}`);
      else this.#held.push(held); // the handle is still open: it is closed later
      return;
    }
  }

  async #flush(held: Held): Promise<void> {
    if (this.#log.isFull(this.#writer)) return;
    const entry = this.#log.begin(this.#writer, CHANGE.FLUSH, held.blob, 0, 0);
    try {
      await held.handle.flush();
      this.#log.end(this.#writer, entry, STATUS.DONE);
    } catch (error) {
      this.#log.end(this.#writer, entry, statusOf(error));
      if (!FULL.includes(this.#refusal(error))) this.#find(`flushing blob ${held.blob} failed: ${textOf(error)}`);
    }
  }

  #onThread(kind: DataKind, held: Held, first: number, count: number, variant: number): void {
    const { handle } = held;
    const offset = first * BLOCK_BYTES;
    const transfer = this.#idle[this.#idle.length - 1];
    const bytes = transfer.bytes.subarray(0, count * BLOCK_BYTES);
    const entry = this.#begin(kind, held, transfer, first, count);
    const began = entry === undefined ? this.#log.now() : 0;
    try {
      switch (kind) {
        case 'write':
        case 'writeSnapshot':
          handle.writeSync(bytes, offset);
          break;
        case 'writev':
          handle.writevSync(pieces(bytes, variant), offset);
          break;
        case 'writeZeroes':
          handle.writeZeroesSync(offset, bytes.length);
          break;
        case 'trim':
          handle.trimSync(offset, bytes.length);
          break;
        case 'readv':
          handle.readvSync(offset, pieces(bytes, variant));
          break;
        default:
          handle.readSync(offset, bytes);
      }
      if (entry === undefined) this.#look(held, transfer, first, count, began);
      else this.#done(kind, held, entry);
    } catch (error) {
      this.#failed(error, kind, held, entry, first + count, true);
    }
  }

  async #asPromise(kind: DataKind, held: Held, first: number, count: number, variant: number): Promise<void> {
    const { handle } = held;
    const offset = first * BLOCK_BYTES;
    const transfer = this.#idle.pop() as Transfer;
    const bytes = transfer.bytes.subarray(0, count * BLOCK_BYTES);
    const entry = this.#begin(kind, held, transfer, first, count);
    const began = entry === undefined ? this.#log.now() : 0;
    try {
      switch (kind) {
        case 'write':
        case 'writeSnapshot':
          await handle.write(bytes, offset);
          break;
        case 'writev':
          await handle.writev(pieces(bytes, variant), offset);
          break;
        case 'writeZeroes':
          await handle.writeZeroes(offset, bytes.length);
          break;
        case 'trim':
          await handle.trim(offset, bytes.length);
          break;
        case 'readv':
          await handle.readv(offset, pieces(bytes, variant));
          break;
        default:
          await handle.read(offset, bytes);
      }
      if (entry === undefined) this.#look(held, transfer, first, count, began);
      else this.#done(kind, held, entry);
    } catch (error) {
      this.#failed(error, kind, held, entry, first + count, false);
    } finally {
      this.#idle.push(transfer);
    }
  }

  /** Logs the begin of a change, and fills the memory with its stamps. Returns its index; undefined for reads. */
  #begin(kind: DataKind, held: Held, { words }: Transfer, first: number, count: number): number | undefined {
    const change = changeOf(kind);
    if (change === undefined) return undefined;
    const entry = this.#log.begin(this.#writer, change, held.blob, first, count);
    if (change !== CHANGE.WRITE) return entry;
    const token = this.#log.token(this.#writer, entry);
    for (let index = 0; index < count; index++) putStamp(words, index * BLOCK_WORDS, token, first + index);
    return entry;
  }

  /**
   * Checks data that was read from a snapshot, which must not change. Data of other blobs is logged for the checker.
   */
  #look(held: Held, { words }: Transfer, first: number, count: number, began: number): void {
    const log = this.#log;
    const ended = log.now();
    for (let index = 0; index < count; index++) {
      const block = first + index;
      const { signature, tokens, foreignAt } = readStamp(words, index * BLOCK_WORDS, block);
      if (foreignAt >= 0) this.#find(`blob ${held.blob}, block ${block}: byte ${foreignAt} is no stamp of the block`);
      if (held.isSnapshot) {
        const truth = log.truth(held.blob, block);
        if (signature !== truth)
          this.#find(`snapshot ${held.blob}, block ${block} has changed: ${truth} to ${signature}`);
        continue;
      }
      for (const token of tokens) log.logRead(this.#writer, held.blob, block, token, began, ended);
    }
  }

  #done(kind: DataKind, held: Held, entry: number): void {
    this.#log.end(this.#writer, entry, STATUS.DONE);
    if (kind === 'writeSnapshot') this.#find(`snapshot ${held.blob} let itself be written`);
  }

  #failed(error: unknown, kind: DataKind, held: Held, entry: number | undefined, end: number, isSync: boolean): void {
    const code = this.#refusal(error);
    if (entry !== undefined) {
      this.#log.end(this.#writer, entry, statusOf(error));
    }
    if (this.#isLegal(code, kind, held, end, isSync)) return;
    this.#find(`${kind}${isSync ? 'Sync' : ''} of blob ${held.blob} up to block ${end} failed: ${textOf(error)}`);
  }

  #isLegal(code: string, kind: DataKind, held: Held, end: number, isSync: boolean): boolean {
    switch (code) {
      case 'ENOSPC':
      case 'ENOMEM':
        return ['write', 'writev', 'writeZeroes'].includes(kind);
      case 'EINVAL':
        return end > this.#log.leastBlocks(held.blob);
      case 'EPERM':
        return kind === 'writeSnapshot';
      case 'EBUSY':
        return isSync && this.#mayBeBusy;
      case 'ENOTSUP':
        // On the store's own thread, a synchronous write may need a cluster whose allocation, or the record of it,
        // waits for a promise.
        return isSync && this.#options.isStoreThread && kind.startsWith('write');
      default:
        return false;
    }
  }

  /** Whether a synchronous call may have to wait for an operation of this same thread, so that it fails with EBUSY. */
  get #mayBeBusy(): boolean {
    const { isStoreThread, othersUnderWay } = this.#options;
    return isStoreThread || this.#running.size > 0 || (othersUnderWay?.() ?? false);
  }

  #refusal(error: unknown): string {
    const code = error instanceof BlobstoreError ? error.code : 'other';
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    return code;
  }

  #find(text: string): void {
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push(`writer ${this.#writer}: ${text}`);
  }
}

function changeOf(kind: DataKind): ChangeKind | undefined {
  switch (kind) {
    case 'write':
    case 'writev':
    case 'writeSnapshot':
      return CHANGE.WRITE;
    case 'writeZeroes':
      return CHANGE.ZERO;
    case 'trim':
      return CHANGE.TRIM;
    default:
      return undefined;
  }
}

/**
 * An index below `count`. The first ones are more frequent, so that threads and the metadata side often use the same.
 */
export function favour(choice: number, count: number): number {
  return Math.min(choice % count, Math.floor(choice / count) % count);
}

/** An array in up to three pieces, whose lengths are not whole blocks. */
function pieces(bytes: Uint8Array, variant: number): Uint8Array[] {
  const cut = (variant % bytes.length) & ~7;
  const second = (cut + bytes.length) >>> 1;
  return [bytes.subarray(0, cut), bytes.subarray(cut, second), bytes.subarray(second)];
}

/** The status of an operation that failed. */
export function statusOf(error: unknown): number {
  return error instanceof BlobstoreError ? -error.errno : 1;
}

export function textOf(error: unknown): string {
  if (error instanceof BlobstoreError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
