/** A handle of an open blob: the one implementation of `Blob`, in all modes. */

import { inspect } from 'node:util';
import { BlobstoreError, type BlockDevice, type Blob as EngineBlob } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { AbortableOptions } from '../api/abort.js';
import { asyncDispose } from '../api/async-dispose.js';
import type { Blob, BlobInfo, DerivedBlobOptions, Xattrs } from '../api/blob.js';
import { abortedIfBy, coded } from '../api/failures.js';
import { inspected } from '../api/inspected.js';
import type { CopyOptions, LongWorkOptions } from '../api/long-work.js';
import { checkAbortable, checkInteger, invalid } from '../checks/checks.js';
import { checkLongWork, type LongWork, type PacedCopyOptions } from '../checks/long-work.js';
import { derivedXattrs } from '../checks/xattr-values.js';
import { checkDevice } from '../devices/open-device.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import type { BlobContext, OpenHandle } from './blob-context.js';
import { BlobXattrs } from './blob-xattrs.js';
import { ByteHandle } from './byte-handle.js';

export class BlobHandle extends ByteHandle implements Blob, OpenHandle {
  /** The number of this handle on the metadata thread. */
  readonly #handle: number;
  #xattrs: Xattrs | undefined;
  #closing: Promise<void> | undefined;
  #isGone = false;

  constructor(context: BlobContext, opened: OpenedBlob) {
    super(context, opened);
    this.#handle = opened.handle;
    context.handles.add(this);
    if (context.failure !== undefined) this.inFlight.fail(context.failure);
  }

  get name(): string | undefined {
    const { nameOf } = this.context.parts;
    return nameOf === undefined ? this.commons.name : nameOf(this.id);
  }

  get xattrs(): Xattrs {
    this.#xattrs ??= new BlobXattrs(this.context, this.commons, { id: this.id, handle: this.#handle }, this.inFlight);
    return this.#xattrs;
  }

  get parent(): bigint | undefined {
    return this.view.parentId;
  }

  get isReadOnly(): boolean {
    return this.view.isReadOnly;
  }

  get isClosed(): boolean {
    return this.inFlight.isClosed;
  }

  get engine(): EngineBlob {
    this.inFlight.requireOpen();
    const { engine } = this.context.parts;
    if (engine === undefined) throw noEngine('blob');
    return engine.blob(this.#handle);
  }

  info(options?: AbortableOptions): Promise<BlobInfo> {
    return this.inFlight.run('describe a blob', async () => {
      checkAbortable('info', options);
      return this.#metadata.info(this.#handle);
    });
  }

  clones(options?: AbortableOptions): Promise<readonly bigint[]> {
    return this.inFlight.run('list clones', async () => {
      checkAbortable('clones', options);
      return this.#metadata.clones(this.#handle);
    });
  }

  snapshot(options?: DerivedBlobOptions): Promise<BlobHandle> {
    return this.inFlight.run(`snapshot blob ${this.id}`, async () => {
      const xattrs = derivedXattrs('snapshot', options);
      return new BlobHandle(this.context, await this.#metadata.snapshot(this.#handle, xattrs));
    });
  }

  /**
   * Runs an operation on several handles of one store, as an operation of each of them.
   * @param operation - gets the numbers of the handles on the metadata thread
   * @throws EINVAL for anything but handles of this store, and for two handles of one blob; EBADF a handle is closed
   */
  static runOnAll<T>(
    context: BlobContext,
    given: readonly unknown[],
    doing: string,
    operation: (numbers: readonly number[]) => Promise<T>,
  ): Promise<T> {
    const ids = new Set<bigint>();
    const handles = given.map((blob, at) => {
      if (!(blob instanceof BlobHandle) || blob.context !== context) {
        throw invalid(`blob ${at} of the list`, blob, 'a handle of this store');
      }
      if (ids.has(blob.id)) {
        throw new BlobstoreError('EINVAL', `blob ${blob.id} is in the list twice: name each blob once`);
      }
      ids.add(blob.id);
      return blob;
    });
    const numbers = handles.map((blob) => blob.#handle);
    const run = () => operation(numbers);
    return handles.reduceRight(
      (next, { inFlight }) =>
        () =>
          inFlight.run(doing, next),
      run,
    )();
  }

  clone(options?: DerivedBlobOptions): Promise<BlobHandle> {
    return this.inFlight.run(`clone blob ${this.id}`, async () => {
      const xattrs = derivedXattrs('clone', options);
      return new BlobHandle(this.context, await this.#metadata.clone(this.#handle, xattrs));
    });
  }

  inflate(options?: LongWorkOptions): Promise<void> {
    return this.#long('inflate', options, (checked) => this.#metadata.inflate(this.#handle, checked));
  }

  decouple(options?: LongWorkOptions): Promise<void> {
    return this.#long('decouple', options, (checked) => this.#metadata.decouple(this.#handle, checked));
  }

  copyTo(device: DeviceSpec | BlockDevice, options?: CopyOptions): Promise<number> {
    return this.#long('copy', options, (checked) => {
      const target = checkDevice('device', device);
      if (target === this.context.parts.device) {
        const advice = 'name another device';
        throw new BlobstoreError('EINVAL', `blob ${this.id} cannot be copied over its own store: ${advice}`);
      }
      return this.#metadata.copyTo(this.#handle, target, checked);
    });
  }

  resize(bytes: number, options?: AbortableOptions): Promise<void> {
    return this.inFlight.run(`resize blob ${this.id}`, async () => {
      checkAbortable('resize', options);
      const { clusterBytes, ioUnitsPerCluster } = this.context.parts.geometry;
      const clusterCount = Math.ceil(
        checkInteger('the size of a blob', bytes, 0, Number.MAX_SAFE_INTEGER) / clusterBytes,
      );
      // Waits for writes to the part that is cut off. Later writes to it wait for the resize, and then fail.
      const first = Math.min(clusterCount, this.view.clusterCount) * ioUnitsPerCluster;
      const { order } = this.commons;
      const turn = order.enter({ first, end: Number.POSITIVE_INFINITY, head: -1, tail: -1 }, true);
      try {
        const ready = order.whenReady(turn);
        if (ready !== undefined) await ready; // without a wait, the resize is requested before later calls
        await this.#metadata.resize(this.#handle, clusterCount);
      } finally {
        order.leave(turn);
      }
    });
  }

  protected growTo(bytes: number): Promise<void> {
    return this.inFlight.run(`grow blob ${this.id}`, () => {
      const clusterCount = Math.ceil(bytes / this.context.parts.geometry.clusterBytes);
      return this.#metadata.resize(this.#handle, clusterCount, 'grow');
    });
  }

  setReadOnly(options?: AbortableOptions): Promise<void> {
    return this.inFlight.run(`make blob ${this.id} read-only`, () => {
      checkAbortable('setReadOnly', options);
      return this.#metadata.setReadOnly(this.#handle);
    });
  }

  sync(options?: AbortableOptions): Promise<void> {
    return this.inFlight.run(`sync blob ${this.id}`, () => {
      checkAbortable('sync', options);
      return this.#metadata.syncBlob(this.#handle);
    });
  }

  flush(options?: AbortableOptions): Promise<void> {
    return this.inFlight.run(`flush blob ${this.id}`, () => {
      checkAbortable('flush', options);
      return this.#metadata.flushBlob(this.#handle);
    });
  }

  syncSync(): void {
    this.inFlight.runSync(`sync blob ${this.id}`, () => this.context.parts.sync.syncBlob(this.#handle));
  }

  flushSync(): void {
    this.inFlight.runSync(`flush blob ${this.id}`, () => this.context.parts.sync.flushBlob(this.#handle));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error: unknown) => {
      this.#closing = undefined;
      throw coded(error, `close blob ${this.id}`);
    });
    return this.#closing;
  }

  closeSync(): void {
    if (this.#isGone) return;
    const doing = `close blob ${this.id}`;
    if (this.#closing !== undefined || this.inFlight.isBusy) {
      const reason = this.#closing === undefined ? 'calls of this handle are under way' : 'it is being closed';
      throw new BlobstoreError('EBUSY', `cannot ${doing} without waiting: ${reason}; use the promise form`);
    }
    try {
      this.view.remember();
      this.context.parts.turns?.beginWaiting();
      this.context.parts.sync.closeHandle(this.#handle);
    } catch (error) {
      const failure = coded(error, doing);
      const isUntried = failure instanceof BlobstoreError && (failure.code === 'EBUSY' || failure.code === 'ENOTSUP');
      if (!isUntried) {
        this.context.closing.add(this);
        this.inFlight.closeIdle(); // as after a failed `close`: unusable, but can be closed again
      }
      throw failure;
    }
    this.inFlight.closeIdle();
    this.#gone();
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  toJSON(): object {
    const { id, name, sizeBytes, parent, isReadOnly, isClosed } = this;
    return {
      id: `${id}`,
      name: name ?? null,
      sizeBytes,
      parent: parent === undefined ? null : `${parent}`,
      isReadOnly,
      isClosed,
    };
  }

  [inspect.custom](depth: number, options: object): string {
    return inspected('Blob', this, depth, options);
  }

  /** Called by the store when it has failed: from now on every call fails with this error. */
  fail(error: BlobstoreError): void {
    this.inFlight.fail(error);
  }

  get #metadata() {
    return this.context.parts.metadata;
  }

  async #close(): Promise<void> {
    const { busy, metadata } = this.context.parts;
    busy?.begin();
    if (!this.#isGone) this.context.closing.add(this);
    try {
      if (this.inFlight.isBusy) await this.inFlight.close();
      else this.inFlight.closeIdle();
      if (this.#isGone) return;
      this.view.remember();
      await metadata.closeHandle(this.#handle);
      this.#gone();
    } finally {
      busy?.end();
    }
  }

  #gone(): void {
    this.#isGone = true;
    this.context.handles.delete(this);
    this.context.closing.delete(this);
  }

  #long<T>(
    doing: LongWork,
    options: PacedCopyOptions | undefined,
    work: (checked: PacedCopyOptions) => Promise<T>,
  ): Promise<T> {
    return this.inFlight.run(`${doing} blob ${this.id}`, async () => {
      const checked = checkLongWork(doing, options);
      try {
        return await work(checked);
      } catch (error) {
        throw abortedIfBy(checked.signal, error);
      }
    });
  }
}

/** Returns the error of reading `engine` on a thread that does not have it: ENOTSUP. */
export function noEngine(what: string): BlobstoreError {
  const advice = 'only a thread that opens the store with `threads: 0` has it; attached threads have `channel` instead';
  return new BlobstoreError('ENOTSUP', `the engine of this ${what} is on the metadata thread: ${advice}`);
}
