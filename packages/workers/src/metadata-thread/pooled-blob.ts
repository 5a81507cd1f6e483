/** A handle of a blob in pool mode: metadata is asked of the metadata worker, bytes go to the data plane. */

import { types } from 'node:util';
import { BlobstoreError, type BlockDevice, type Blob as EngineBlob } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { asyncDispose } from '../api/async-dispose.js';
import type { Blob, BlobInfo, DerivedBlobOptions, Xattrs } from '../api/blob.js';
import { coded } from '../api/failures.js';
import type { CopyOptions, LongWorkOptions } from '../api/long-work.js';
import { checkInteger, checkOptions } from '../checks/checks.js';
import { checkLongWork, type LongWork } from '../checks/long-work.js';
import { givenXattrs } from '../checks/xattr-values.js';
import { BlobView } from '../data/blob-view.js';
import { ByteBlob } from '../data/byte-blob.js';
import type { BytePort, PromiseChannel, SyncPort } from '../data/byte-io.js';
import { InFlight } from '../data/in-flight.js';
import { checkDevice } from '../devices/open-device.js';
import { shareable } from '../devices/shareable-device.js';
import type { Followed, OpenedBlob } from './metadata-protocol.js';
import type { BlobCommons, PooledContext, PooledHandle } from './pooled-context.js';
import { PooledXattrs } from './pooled-xattrs.js';

const { isUint8Array } = types;

export class PooledBlob extends ByteBlob implements Blob, PooledHandle {
  readonly id: bigint;
  readonly xattrs: Xattrs;
  protected readonly inFlight: InFlight;
  protected readonly port: BytePort;
  readonly #context: PooledContext;
  readonly #handle: number;
  readonly #commons: BlobCommons;
  readonly #view: BlobView;
  readonly #channel: PromiseChannel;
  readonly #unitBytes: number;
  readonly #clusterBytes: number;
  #syncPort: SyncPort | undefined;
  #closing: Promise<void> | undefined;

  /** @param isNew - the blob was made just now */
  constructor(context: PooledContext, opened: OpenedBlob, isNew: boolean) {
    super();
    const { metadata, plane, shared, geometry, edges } = context;
    this.id = opened.id;
    this.#context = context;
    this.#handle = opened.handle;
    this.#commons = context.commonsOf(opened.id, isNew);
    this.#commons.name = opened.name;
    this.#channel = plane.channel;
    this.#unitBytes = geometry.ioUnitBytes;
    this.#clusterBytes = geometry.clusterBytes;
    this.inFlight = new InFlight(`this handle of blob ${opened.id}`, metadata.busy);
    this.xattrs = new PooledXattrs(metadata, opened.handle, this.#commons, this.inFlight);
    const view = new BlobView(shared, opened.slot, opened.generation);
    this.#view = view;
    this.port = {
      channel: plane.channel,
      order: this.#commons.order,
      edges,
      unitBytes: geometry.ioUnitBytes,
      blob: () => view,
      isAllocated: (unit) => view.isAllocated(geometry.ioUnitToCluster(unit)),
    };
    context.handles.add(this);
    if (metadata.death !== undefined) this.fail(metadata.death);
  }

  get name(): string | undefined {
    return this.#commons.name;
  }

  get sizeBytes(): number {
    return this.#view.clusterCount * this.#clusterBytes;
  }

  get parent(): bigint | undefined {
    return this.#view.parentId;
  }

  get isReadOnly(): boolean {
    return this.#view.isReadOnly;
  }

  get isClosed(): boolean {
    return this.inFlight.isClosed;
  }

  get engine(): EngineBlob {
    this.inFlight.requireOpen();
    throw noEngine('blob');
  }

  /** Whole io units go to the data plane in this very call; everything else takes the common way. */
  override read(offset: number, length: number): Promise<Uint8Array>;
  override read(offset: number, into: Uint8Array): Promise<Uint8Array>;
  override read(offset: number, lengthOrInto: number | Uint8Array): Promise<Uint8Array> {
    if (!isUint8Array(lengthOrInto) || !this.#isDirect(offset, lengthOrInto.length)) {
      return super.read(offset, lengthOrInto as Uint8Array);
    }
    const into = lengthOrInto;
    const { inFlight } = this;
    const unitBytes = this.#unitBytes;
    inFlight.begin();
    return this.#channel.read(this.#view, into, offset / unitBytes, into.length / unitBytes).then(
      () => {
        inFlight.end();
        return into;
      },
      (error: unknown) => {
        inFlight.end();
        throw coded(error, 'read');
      },
    );
  }

  override write(data: Uint8Array, offset: number): Promise<void> {
    if (!isUint8Array(data) || !this.#isDirect(offset, data.length)) return super.write(data, offset);
    const unitBytes = this.#unitBytes;
    const first = offset / unitBytes;
    const count = data.length / unitBytes;
    const { order } = this.#commons;
    const turn = order.enterUnhindered(first, first + count);
    if (turn === undefined) return super.write(data, offset);
    const { inFlight } = this;
    inFlight.begin();
    return this.#channel.write(this.#view, data, first, count).then(
      () => {
        order.leave(turn);
        inFlight.end();
      },
      (error: unknown) => {
        order.leave(turn);
        inFlight.end();
        throw coded(error, 'write');
      },
    );
  }

  info(): Promise<BlobInfo> {
    return this.inFlight.run('describe a blob', () => this.#context.metadata.call('info', this.#handle));
  }

  clones(): Promise<readonly bigint[]> {
    return this.inFlight.run('list clones', () => this.#context.metadata.call('clones', this.#handle));
  }

  snapshot(options?: DerivedBlobOptions): Promise<Blob> {
    return this.inFlight.run(`snapshot blob ${this.id}`, async () => {
      const { name, values: xattrs } = givenXattrs(checkOptions('options of a snapshot', options, ['name', 'xattrs']));
      return this.#derived(await this.#context.metadata.call('snapshot', this.#handle, { name, xattrs }));
    });
  }

  clone(options?: DerivedBlobOptions): Promise<Blob> {
    return this.inFlight.run(`clone blob ${this.id}`, async () => {
      const { name, values: xattrs } = givenXattrs(checkOptions('options of a clone', options, ['name', 'xattrs']));
      return this.#derived(await this.#context.metadata.call('clone', this.#handle, { name, xattrs }));
    });
  }

  inflate(options?: LongWorkOptions): Promise<void> {
    return this.#long('inflate', options, (followed) => {
      return this.#context.metadata.call('inflate', this.#handle, followed);
    });
  }

  decouple(options?: LongWorkOptions): Promise<void> {
    return this.#long('decouple', options, (followed) => {
      return this.#context.metadata.call('decouple', this.#handle, followed);
    });
  }

  copyTo(target: DeviceSpec | BlockDevice, options?: CopyOptions): Promise<number> {
    return this.#long('copy', options, async (followed, { overwrite }) => {
      const spec = await this.#targetSpec(target);
      return this.#context.metadata.call('copyTo', this.#handle, spec, overwrite, followed);
    });
  }

  resize(bytes: number): Promise<void> {
    return this.inFlight.run(`resize blob ${this.id}`, async () => {
      checkInteger('the size of a blob', bytes, 0, Number.MAX_SAFE_INTEGER);
      const { order } = this.#commons;
      const { ioUnitsPerCluster } = this.#context.geometry;
      // Writes to what is cut off are waited for; those that come later wait, and then find that it is gone.
      const clusterCount = Math.min(Math.ceil(bytes / this.#clusterBytes), this.#view.clusterCount);
      const cutOff = { first: clusterCount * ioUnitsPerCluster, end: Number.POSITIVE_INFINITY, head: -1, tail: -1 };
      const turn = order.enter(cutOff, true);
      try {
        const ready = order.whenReady(turn);
        if (ready !== undefined) await ready; // otherwise it is sent in this very call, before what is asked for next
        await this.#context.metadata.call('resize', this.#handle, bytes);
      } finally {
        order.leave(turn);
      }
    });
  }

  setReadOnly(): Promise<void> {
    return this.inFlight.run(`make blob ${this.id} read-only`, () => {
      return this.#context.metadata.call('setReadOnly', this.#handle);
    });
  }

  sync(): Promise<void> {
    return this.inFlight.run(`sync blob ${this.id}`, () => this.#context.metadata.call('syncBlob', this.#handle));
  }

  flush(): Promise<void> {
    return this.inFlight.run(`flush blob ${this.id}`, () => this.#context.metadata.call('flushBlob', this.#handle));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().catch((error: unknown) => {
      this.#closing = undefined;
      throw coded(error, `close blob ${this.id}`);
    });
    return this.#closing;
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  fail(error: BlobstoreError): void {
    this.inFlight.fail(error);
  }

  protected syncPort(): SyncPort {
    this.#syncPort ??= { ...this.port, channel: this.#context.plane.syncChannel() };
    return this.#syncPort;
  }

  protected nextUnit(unit: number, isData: boolean): number | undefined {
    const { geometry } = this.#context;
    const first = geometry.ioUnitToCluster(unit);
    const found = this.#view.find(first, isData);
    if (found === undefined) return undefined;
    return found === first ? unit : found * geometry.ioUnitsPerCluster;
  }

  async #close(): Promise<void> {
    await this.inFlight.close();
    this.#view.remember();
    if (!this.#context.isEnded) await this.#context.metadata.call('closeHandle', this.#handle);
    this.#context.handles.delete(this);
  }

  /** True for a range of whole io units in the blob, on a handle that is in use. */
  #isDirect(offset: number, length: number): boolean {
    const unitBytes = this.#unitBytes;
    return (
      typeof offset === 'number' &&
      offset >= 0 &&
      length > 0 &&
      offset % unitBytes === 0 &&
      length % unitBytes === 0 &&
      offset + length <= this.sizeBytes &&
      this.inFlight.isUsable
    );
  }

  #derived(opened: OpenedBlob): PooledBlob {
    return new PooledBlob(this.#context, opened, true);
  }

  #long<T>(
    doing: LongWork,
    options: CopyOptions | undefined,
    begin: (followed: Followed, checked: CopyOptions) => Promise<T>,
  ): Promise<T> {
    return this.inFlight.run(`${doing} blob ${this.id}`, async () => {
      const checked = checkLongWork(doing, options);
      return this.#context.metadata.follow(checked, (followed) => begin(followed, checked));
    });
  }

  /** By what the metadata worker opens the device to copy to. */
  async #targetSpec(given: DeviceSpec | BlockDevice): Promise<DeviceSpec> {
    const target = checkDevice('device', given);
    if (target === this.#context.held.device) {
      throw new BlobstoreError('EINVAL', `blob ${this.id} cannot be copied over its own store: name another device`);
    }
    return 'kind' in target ? target : (await shareable(target)).spec;
  }
}

/** What `engine` throws where it is on another thread. */
export function noEngine(what: string): BlobstoreError {
  const advice = 'open the store with `threads: 0`, or attach to it from a thread of your own to have a channel there';
  return new BlobstoreError('ENOTSUP', `the engine of this ${what} lives on the metadata worker: ${advice}`);
}
