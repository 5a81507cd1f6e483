/**
 * Wraps a device, and injects faults where a test plans them: an operation fails, waits at a gate, is torn, or is the
 * last one before a power cut. It counts operations, so that a test can first count them, and then fail each in turn.
 *
 * Every `k` counts from the call that plans the fault: 1 is the next operation.
 */

import {
  BlobstoreError,
  type BlockDevice,
  type DeviceChannel,
  type ErrorCode,
  type MaybePromise,
  type RequestOptions,
} from '@blobyard/core';
import { checkBoolean, checkObject } from '@blobyard/core/internal/argument-checks';
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
import { gather } from './scatter-list.js';
import { WrappedDevice } from './wrapped-device.js';

/** A torn write keeps or loses a sector as a whole. */
const SECTOR_BYTES = 512;

/** The kinds at which a power cut makes a difference: reads change nothing on the medium. */
const CHANGING_KINDS = OPERATION_KINDS.filter((kind) => kind !== 'read');
const WRITING_KINDS = CHANGING_KINDS.filter((kind) => kind !== 'flush');

/** Options for a faulty device. */
export interface FaultyDeviceOptions {
  /** Makes the device asynchronous, even over a synchronous one. Gates need it. Default: false. */
  readonly asynchronous?: boolean;
}

/** One operation that a channel was called for. */
interface Operation {
  readonly kind: OperationKind;
  /** Executes it on the wrapped device. */
  readonly run: () => MaybePromise<void>;
  /**
   * For operations that change bytes: the first byte of the device, and the bytes that it leaves there. Called only
   * for a write that is torn.
   */
  readonly change?: { readonly position: () => number; readonly content: () => MaybePromise<Uint8Array> };
}

/** A device for tests that injects faults into the operations of another one. */
export class FaultyDevice extends WrappedDevice implements BlockDevice {
  readonly #plan = new FaultPlan();
  readonly #isAsynchronous: boolean;
  #powerless: PowerlessWrites | undefined;

  constructor(inner: BlockDevice, options: FaultyDeviceOptions = {}) {
    super(checkBlockDevice(inner));
    const given = checkObject('options of a faulty device', options, ['asynchronous']);
    this.#isAsynchronous = checkBoolean('asynchronous', given.asynchronous, false);
  }

  get synchronous(): boolean {
    return this.inner.synchronous && !this.#isAsynchronous;
  }

  /** Operations so far, by kind, including failed ones. */
  get counters(): Readonly<Record<OperationKind, number>> {
    return this.#plan.counters;
  }

  /** Operations so far, of one kind or of all, including failed ones. */
  count(kind?: OperationKind): number {
    let sum = 0;
    for (const each of OPERATION_KINDS) if (kind === undefined || kind === each) sum += this.#plan.counters[each];
    return sum;
  }

  /**
   * Makes the k-th operation of a kind (default: of any) fail with a code (default: EIO), and `times - 1` operations
   * after it (default: none). Throws EINVAL unless `k` and `times` are whole numbers from 1.
   */
  failAt(k: number, options: { kind?: OperationKind; code?: ErrorCode; times?: number } = {}): void {
    const { kind, code = 'EIO', times = 1 } = checkFault(options);
    this.#plan.addFault(k, kind === undefined ? OPERATION_KINDS : [kind], { what: 'error', code }, times);
  }

  /**
   * Tears the k-th operation that changes bytes: its first `sectors` sectors of 512 bytes are written, then it fails
   * with a code (default: EIO). Throws EINVAL as `failAt`.
   */
  tearAt(k: number, sectors: number, options: { kind?: OperationKind; code?: ErrorCode } = {}): void {
    const { kind, code = 'EIO' } = checkFault(options);
    this.#plan.addFault(k, kind === undefined ? WRITING_KINDS : [kind], { what: 'tear', sectors, after: code }, 1);
  }

  /**
   * Cuts the power at the k-th operation that is not a read. Of that operation, the first `sectors` sectors of 512
   * bytes are written (default: 0); of those after it, nothing. All of them fail with EIO, or with `writes: 'drop'`
   * report success. Reads go on working, so that a test can look at the medium. Throws EINVAL as `failAt`.
   */
  cutPowerAt(k: number, options: { kind?: OperationKind; writes?: PowerlessWrites; sectors?: number } = {}): void {
    const { kind, writes = 'fail', sectors = 0 } = checkFault(options);
    this.#plan.addFault(k, kind === undefined ? CHANGING_KINDS : [kind], { what: 'tear', sectors, after: writes }, 1);
  }

  /** Cuts the power now. Operations that wait at a gate are lost too. */
  cutPower(writes: PowerlessWrites = 'fail'): void {
    this.#powerless = writes;
  }

  /** Restores the power. The medium is as it was at the power cut. */
  restorePower(): void {
    this.#powerless = undefined;
  }

  get isPowered(): boolean {
    return this.#powerless === undefined;
  }

  /**
   * Makes the k-th operation of a kind (of any, if undefined) wait until the gate is released. Throws EINVAL on a
   * synchronous device, and as `failAt`.
   */
  gate(kind: OperationKind | undefined, k: number): Gate {
    if (!this.synchronous) return this.#plan.addGate(k, kind === undefined ? OPERATION_KINDS : [kind]);
    throw new BlobstoreError('EINVAL', 'a synchronous device cannot wait at a gate; make it with asynchronous: true');
  }

  /** Removes the faults and gates that have not applied yet. Counters and a power cut stay. */
  clearFaults(): void {
    this.#plan.clear();
  }

  openChannel(): DeviceChannel {
    const perform = (operation: Operation) => this.#perform(operation, inner);
    const inner = this.inner.openChannel();
    return new FaultyChannel(inner, this.blockLengthBytes, perform);
  }

  refresh(): MaybePromise<void> {
    return this.inner.refresh?.();
  }

  close(): MaybePromise<void> {
    return this.inner.close();
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

  /** Checks the power only now: an operation that waited at a gate during the power cut is lost. */
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

  /** Writes the first sectors of an operation. The rest of the last block keeps its old bytes. */
  #land(operation: Operation, sectors: number, inner: DeviceChannel): MaybePromise<void> {
    const { change } = operation;
    if (change === undefined || sectors === 0) return;
    const pending = change.content();
    // A write by bytes can begin within a sector. Then less than a sector is written in the first one.
    const position = change.position();
    const lengthBytes = sectors * SECTOR_BYTES - (position % SECTOR_BYTES);
    const land = (content: Uint8Array) => this.#landBytes(position, content, lengthBytes, inner);
    return pending instanceof Promise ? pending.then(land) : land(pending);
  }

  #landBytes(position: number, content: Uint8Array, lengthBytes: number, inner: DeviceChannel): MaybePromise<void> {
    const { blockLengthBytes } = this;
    const length = Math.min(lengthBytes, content.byteLength);
    const lba = Math.floor(position / blockLengthBytes);
    const within = position - lba * blockLengthBytes;
    const blocks = Math.ceil((within + length) / blockLengthBytes);
    const landed = new Uint8Array(blocks * blockLengthBytes);
    return afterwards(inner.read(landed, 0, lba, blocks), () => {
      landed.set(content.subarray(0, length), within);
      return inner.write(landed, 0, lba, blocks);
    });
  }
}

class FaultyChannel implements DeviceChannel {
  readonly copy?: DeviceChannel['copy'];
  readonly readBytes?: DeviceChannel['readBytes'];
  readonly writeBytes?: DeviceChannel['writeBytes'];
  readonly #inner: DeviceChannel;
  readonly #blockLengthBytes: number;
  readonly #perform: (operation: Operation) => MaybePromise<void>;

  constructor(inner: DeviceChannel, blockLengthBytes: number, perform: (operation: Operation) => MaybePromise<void>) {
    this.#inner = inner;
    this.#blockLengthBytes = blockLengthBytes;
    this.#perform = perform;
    if (inner.copy) this.copy = (target, source, count) => this.#copy(target, source, count);
    if (inner.readBytes) {
      this.readBytes = (...args) => this.#perform({ kind: 'read', run: () => inner.readBytes?.(...args) });
    }
    if (inner.writeBytes) this.writeBytes = (...args) => this.#writeBytes(...args);
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    return this.#perform({ kind: 'read', run: () => this.#inner.read(buffer, bufferOffset, lba, blockCount) });
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): MaybePromise<void> {
    const content = () => buffer.subarray(bufferOffset, bufferOffset + blockCount * this.#blockLengthBytes);
    const run = () => this.#inner.write(buffer, bufferOffset, lba, blockCount);
    return this.#perform({ kind: 'write', run, change: { position: () => lba * this.#blockLengthBytes, content } });
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
      change: { position: () => lba * this.#blockLengthBytes, content },
    });
  }

  writeZeroes(lba: number, blockCount: number): MaybePromise<void> {
    const run = () => this.#inner.writeZeroes(lba, blockCount);
    return this.#perform({ kind: 'writeZeroes', run, change: this.#zeroing(lba, blockCount) });
  }

  unmap(lba: number, blockCount: number): MaybePromise<void> {
    const run = () => this.#inner.unmap(lba, blockCount);
    return this.#perform({ kind: 'unmap', run, change: this.#zeroing(lba, blockCount) });
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
      change: { position: () => target * this.#blockLengthBytes, content },
    });
  }

  #writeBytes(buffer: Uint8Array, bufferOffset: number, position: number, length: number): MaybePromise<void> {
    const content = () => buffer.subarray(bufferOffset, bufferOffset + length);
    const run = () => this.#inner.writeBytes?.(buffer, bufferOffset, position, length);
    return this.#perform({ kind: 'write', run, change: { position: () => position, content } });
  }

  #zeroing(lba: number, blockCount: number): Operation['change'] {
    return { position: () => lba * this.#blockLengthBytes, content: () => this.#zeroes(blockCount) };
  }

  #zeroes(blockCount: number): Uint8Array {
    return new Uint8Array(blockCount * this.#blockLengthBytes);
  }
}

/** The options of a fault, each property read once. */
function checkFault<T extends object>(options: T): T {
  return checkObject('options of a fault', options, ['kind', 'code', 'times', 'writes', 'sectors']) as T;
}

function withoutPower(operation: Operation, writes: PowerlessWrites): void {
  if (writes === 'fail') throw failure('EIO', operation, 'the power is off');
}

function failure(code: ErrorCode, operation: Operation, why: string): BlobstoreError {
  return new BlobstoreError(code, `${operation.kind} failed: ${why}`);
}
