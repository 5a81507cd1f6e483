/**
 * A device around another that goes wrong where a test wants it to: an operation fails, waits at a gate, is torn, or is
 * the last one before the power goes. It counts operations, so that a test can first see how many there are, then fail
 * each.
 *
 * Every `k` counts from the call that names it: 1 is the next operation.
 */

import {
  BlobstoreError,
  type BlockDevice,
  type DeviceChannel,
  type ErrorCode,
  type MaybePromise,
  type RequestOptions,
} from '@blobyard/core';
import { checkBlockDevice } from './block-device-check.js';
import {
  type Fault,
  FaultPlan,
  type Gate,
  OPERATION_KINDS,
  type OperationKind,
  type PowerlessWrites,
} from './fault-plan.js';
import { afterwards } from './maybe-promise.js';
import { checkBoolean, checkObject } from './option-checks.js';
import { gather } from './scatter-list.js';

/** What a torn write keeps or loses as a whole. */
const SECTOR_BYTES = 512;

/** The kinds that a power cut can come at: reads leave no trace on the medium. */
const CHANGING_KINDS = OPERATION_KINDS.filter((kind) => kind !== 'read');
const WRITING_KINDS = CHANGING_KINDS.filter((kind) => kind !== 'flush');

export interface FaultyDeviceOptions {
  /** Whether the device says that it is asynchronous, as it must if it is to have gates. False unless given. */
  readonly asynchronous?: boolean;
}

/** One operation as a channel is asked for it. */
interface Operation {
  readonly kind: OperationKind;
  /** Does it, all of it. */
  readonly run: () => MaybePromise<void>;
  /** For operations that change bytes: where, and which bytes they leave there. */
  readonly change?: { readonly lba: number; readonly content: () => MaybePromise<Uint8Array> };
}

export class FaultyDevice implements BlockDevice {
  readonly #inner: BlockDevice;
  readonly #plan = new FaultPlan();
  readonly #isAsynchronous: boolean;
  #powerless: PowerlessWrites | undefined;

  constructor(inner: BlockDevice, options: FaultyDeviceOptions = {}) {
    this.#inner = checkBlockDevice(inner);
    const given = checkObject('options of a faulty device', options, ['asynchronous']);
    this.#isAsynchronous = checkBoolean('asynchronous', given.asynchronous, false);
  }

  get blockLengthBytes(): number {
    return this.#inner.blockLengthBytes;
  }

  get blockCount(): number {
    return this.#inner.blockCount;
  }

  get synchronous(): boolean {
    return this.#inner.synchronous && !this.#isAsynchronous;
  }

  get canCopy(): boolean {
    return this.#inner.canCopy;
  }

  get cacheOwner(): BlockDevice['cacheOwner'] {
    return this.#inner.cacheOwner;
  }

  /** Operations so far, by kind, those that failed included. */
  get counters(): Readonly<Record<OperationKind, number>> {
    return this.#plan.counters;
  }

  /** Operations so far, of all kinds or of one. */
  count(kind?: OperationKind): number {
    let sum = 0;
    for (const each of OPERATION_KINDS) if (kind === undefined || kind === each) sum += this.#plan.counters[each];
    return sum;
  }

  /** The k-th operation of a kind, or of any, fails with a code (EIO unless given), and so do `times - 1` after it. */
  failAt(k: number, options: { kind?: OperationKind; code?: ErrorCode; times?: number } = {}): void {
    const { kind, code = 'EIO', times = 1 } = checkFault(options);
    this.#plan.addFault(k, kind === undefined ? OPERATION_KINDS : [kind], { what: 'error', code }, times);
  }

  /** Of the k-th operation that changes bytes only the first `sectors` sectors of 512 bytes land; then it fails. */
  tearAt(k: number, sectors: number, options: { kind?: OperationKind; code?: ErrorCode } = {}): void {
    const { kind, code = 'EIO' } = checkFault(options);
    this.#plan.addFault(k, kind === undefined ? WRITING_KINDS : [kind], { what: 'tear', sectors, after: code }, 1);
  }

  /**
   * The power goes at the k-th operation that is not a read: of it only the first `sectors` sectors of 512 bytes land,
   * none unless given, and nothing of those after it. They fail, unless `writes` is 'drop'. Reads go on working, so
   * that a test can look.
   */
  cutPowerAt(k: number, options: { kind?: OperationKind; writes?: PowerlessWrites; sectors?: number } = {}): void {
    const { kind, writes = 'fail', sectors = 0 } = checkFault(options);
    this.#plan.addFault(k, kind === undefined ? CHANGING_KINDS : [kind], { what: 'tear', sectors, after: writes }, 1);
  }

  /** The power goes now. Operations that wait at a gate do not land either. */
  cutPower(writes: PowerlessWrites = 'fail'): void {
    this.#powerless = writes;
  }

  /** The power comes back; the medium is as it was when it went. */
  restorePower(): void {
    this.#powerless = undefined;
  }

  get isPowered(): boolean {
    return this.#powerless === undefined;
  }

  /**
   * The k-th operation of a kind (of any, if undefined) waits until released. Only on a device that is not synchronous.
   */
  gate(kind: OperationKind | undefined, k: number): Gate {
    if (!this.synchronous) return this.#plan.addGate(k, kind === undefined ? OPERATION_KINDS : [kind]);
    throw new BlobstoreError('EINVAL', 'a synchronous device cannot wait at a gate; make it with asynchronous: true');
  }

  /** Forgets every fault and gate to come. The counters stay, and so does a power cut. */
  clearFaults(): void {
    this.#plan.clear();
  }

  openChannel(): DeviceChannel {
    const perform = (operation: Operation) => this.#perform(operation, inner);
    const inner = this.#inner.openChannel();
    return new FaultyChannel(inner, this.blockLengthBytes, perform);
  }

  isDegraded(): boolean {
    return this.#inner.isDegraded?.() ?? false;
  }

  isZeroes(lba: number, blockCount: number): boolean {
    return this.#inner.isZeroes?.(lba, blockCount) ?? false;
  }

  translateLba(lba: number): number | undefined {
    return this.#inner.translateLba?.(lba);
  }

  refresh(): MaybePromise<void> {
    return this.#inner.refresh?.();
  }

  close(): MaybePromise<void> {
    return this.#inner.close();
  }

  #perform(operation: Operation, inner: DeviceChannel): MaybePromise<void> {
    const { gates, fault } = this.#plan.next(operation.kind);
    if (this.synchronous) return this.#carryOut(operation, fault, inner);
    return this.#performLater(gates, () => this.#carryOut(operation, fault, inner));
  }

  /** An async function, so that on an asynchronous device every failure is a rejection. */
  async #performLater(gates: readonly Promise<void>[], carryOut: () => MaybePromise<void>): Promise<void> {
    for (const released of gates) await released;
    await carryOut();
  }

  /** Looks at the power only now: what waited at a gate while it went does not land. */
  #carryOut(operation: Operation, fault: Fault | undefined, inner: DeviceChannel): MaybePromise<void> {
    if (this.#powerless !== undefined && operation.kind !== 'read') return withoutPower(operation, this.#powerless);
    if (fault === undefined) return operation.run();
    if (fault.what === 'error') throw failure(fault.code, operation, 'as the test asked');
    return afterwards(this.#land(operation, fault.sectors, inner), () => {
      const { after } = fault;
      if (after !== 'fail' && after !== 'drop') throw failure(after, operation, 'torn, as the test asked');
      this.#powerless = after;
      return withoutPower(operation, after);
    });
  }

  /** Writes the first sectors of what the operation would leave: whole blocks, and the last one with its old end. */
  #land(operation: Operation, sectors: number, inner: DeviceChannel): MaybePromise<void> {
    const { change } = operation;
    if (change === undefined || sectors === 0) return;
    const pending = change.content();
    const land = (content: Uint8Array) => this.#landBytes(change.lba, content, sectors * SECTOR_BYTES, inner);
    return pending instanceof Promise ? pending.then(land) : land(pending);
  }

  #landBytes(lba: number, content: Uint8Array, lengthBytes: number, inner: DeviceChannel): MaybePromise<void> {
    const length = Math.min(lengthBytes, content.byteLength);
    const blocks = Math.ceil(length / this.blockLengthBytes);
    const landed = new Uint8Array(blocks * this.blockLengthBytes);
    return afterwards(inner.read(landed, 0, lba, blocks), () => {
      landed.set(content.subarray(0, length));
      return inner.write(landed, 0, lba, blocks);
    });
  }
}

class FaultyChannel implements DeviceChannel {
  readonly copy?: (targetLba: number, sourceLba: number, blockCount: number) => MaybePromise<void>;
  readonly #inner: DeviceChannel;
  readonly #blockLengthBytes: number;
  readonly #perform: (operation: Operation) => MaybePromise<void>;

  constructor(inner: DeviceChannel, blockLengthBytes: number, perform: (operation: Operation) => MaybePromise<void>) {
    this.#inner = inner;
    this.#blockLengthBytes = blockLengthBytes;
    this.#perform = perform;
    if (inner.copy) this.copy = (target, source, count) => this.#copy(target, source, count);
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    return this.#perform({ kind: 'read', run: () => this.#inner.read(buffer, bufferOffset, lba, blockCount) });
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    const content = () => buffer.subarray(bufferOffset, bufferOffset + blockCount * this.#blockLengthBytes);
    const run = () => this.#inner.write(buffer, bufferOffset, lba, blockCount);
    return this.#perform({ kind: 'write', run, change: { lba, content } });
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): MaybePromise<void> {
    return this.#perform({ kind: 'read', run: () => this.#inner.readv(buffers, lba, blockCount, options) });
  }

  writev(
    buffers: readonly Uint8Array[],
    lba: number,
    blockCount: number,
    options?: RequestOptions,
  ): MaybePromise<void> {
    const content = () => {
      const all = new Uint8Array(blockCount * this.#blockLengthBytes);
      gather(buffers, 0, all, all.byteLength);
      return all;
    };
    return this.#perform({
      kind: 'write',
      run: () => this.#inner.writev(buffers, lba, blockCount, options),
      change: { lba, content },
    });
  }

  writeZeroes(lba: number, blockCount: number): MaybePromise<void> {
    const run = () => this.#inner.writeZeroes(lba, blockCount);
    return this.#perform({ kind: 'writeZeroes', run, change: { lba, content: () => this.#zeroes(blockCount) } });
  }

  unmap(lba: number, blockCount: number): MaybePromise<void> {
    const run = () => this.#inner.unmap(lba, blockCount);
    return this.#perform({ kind: 'unmap', run, change: { lba, content: () => this.#zeroes(blockCount) } });
  }

  flush(): MaybePromise<void> {
    return this.#perform({ kind: 'flush', run: () => this.#inner.flush() });
  }

  close(): void {
    this.#inner.close();
  }

  #copy(target: number, source: number, blockCount: number): MaybePromise<void> {
    const content = () => {
      const all = this.#zeroes(blockCount);
      return afterwards(this.#inner.read(all, 0, source, blockCount), () => all);
    };
    return this.#perform({
      kind: 'copy',
      run: () => this.#inner.copy?.(target, source, blockCount),
      change: { lba: target, content },
    });
  }

  #zeroes(blockCount: number): Uint8Array {
    return new Uint8Array(blockCount * this.#blockLengthBytes);
  }
}

/** What a fault is given, each read once. */
function checkFault<T extends object>(options: T): T {
  return checkObject('options of a fault', options, ['kind', 'code', 'times', 'writes', 'sectors']) as T;
}

function withoutPower(operation: Operation, writes: PowerlessWrites): void {
  if (writes === 'fail') throw failure('EIO', operation, 'the power is off');
}

function failure(code: ErrorCode, operation: Operation, why: string): BlobstoreError {
  return new BlobstoreError(code, `${operation.kind} failed: ${why}`);
}
