/** An open store: the one implementation of `Store`, in all modes. */

import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { BlobstoreError, type Channel } from '@blobyard/core';
import type { AbortableOptions } from '../api/abort.js';
import { asyncDispose } from '../api/async-dispose.js';
import type { Blob, BlobInfo } from '../api/blob.js';
import { coded, openedReadOnly, throwIfAborted } from '../api/failures.js';
import { inspected } from '../api/inspected.js';
import type {
  BlobAddress,
  BlobFilter,
  CreateBlobOptions,
  Damage,
  Engine,
  GrowOptions,
  OpenBlobOptions,
  SnapshotsOptions,
  Store,
  StoreStats,
} from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { BlobContext } from '../blob/blob-context.js';
import { BlobHandle, noEngine } from '../blob/blob-handle.js';
import {
  type CheckedFilter,
  checkAddress,
  checkBlobFilter,
  checkBlobList,
  checkCreateBlob,
  checkOpenBlob,
} from '../checks/blob-options.js';
import {
  checkAbortable,
  checkInteger,
  checkNotAborted,
  checkOptions,
  checkText,
  checkWritableOr,
} from '../checks/checks.js';
import { derivedXattrsOf } from '../checks/xattr-values.js';
import { InFlight } from '../data/in-flight.js';
import { allocateFor, releaseTo } from '../data/store-memory.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import type { StoreEnding, StoreParts } from '../ports/store-parts.js';
import { StoreEmitter, tellListeners } from './store-emitter.js';

/** The size of the chunks in which a dump is written to a stream, in bytes. */
const DUMP_CHUNK_BYTES = 1 << 16;

export class StoreFace extends StoreEmitter implements Store {
  readonly damaged: readonly Damage[];
  protected readonly parts: StoreParts;
  readonly #blobs: BlobContext;
  readonly #inFlight: InFlight;
  #ending: Promise<void> | undefined;

  /** @param parts - owned by the store from now on, and ended with it */
  constructor(parts: StoreParts) {
    super(() => this.#requireEvents());
    this.parts = parts;
    this.damaged = parts.damaged;
    this.#blobs = new BlobContext(parts);
    this.#inFlight = new InFlight(parts.title, parts.busy, parts.turns);
    parts.listen({
      event: (name, ...given) => {
        if (!this.isClosed) tellListeners(this, name, ...given);
      },
      failed: (error) => {
        this.#inFlight.fail(error);
        this.#blobs.failure = error;
        for (const handle of this.#blobs.handles) handle.fail(error);
        if (!this.isClosed) tellListeners(this, 'failed', error);
      },
    });
  }

  get isClosed(): boolean {
    return this.#inFlight.isClosed;
  }

  get isReadOnly(): boolean {
    return this.parts.isReadOnly;
  }

  get engine(): Engine {
    this.#inFlight.requireOpen();
    const { engine } = this.parts;
    if (engine === undefined) throw noEngine('store');
    return engine.store();
  }

  get channel(): Channel {
    this.#inFlight.requireOpen();
    const { channel } = this.parts;
    if (channel === undefined) throw noEngine('store');
    return channel();
  }

  get clusterSizeBytes(): number {
    return this.parts.geometry.clusterBytes;
  }

  get ioUnitBytes(): number {
    return this.parts.geometry.ioUnitBytes;
  }

  /** Counts of what is under way on this thread. Each is 0 when the store is idle. For tests. */
  get underWay(): Readonly<Record<string, number>> {
    return this.parts.underWay;
  }

  create(options?: CreateBlobOptions): Promise<BlobHandle> {
    return this.#inFlight.run('create a blob', () => {
      const { metadata, geometry } = this.parts;
      return metadata.create(checkCreateBlob(options, geometry.clusterBytes)).then(this.#toHandle);
    });
  }

  open(address: BlobAddress, options?: OpenBlobOptions): Promise<BlobHandle> {
    return this.#inFlight.run('open a blob', () => {
      const checked = checkOpenBlob(options);
      return this.parts.metadata.open(checkAddress(address), checked).then(this.#toHandle);
    });
  }

  openSync(address: BlobAddress, options?: OpenBlobOptions): BlobHandle {
    return this.#inFlight.runSync('open a blob', () => {
      const checked = checkOpenBlob(options);
      return new BlobHandle(this.#blobs, this.parts.sync.open(checkAddress(address), checked));
    });
  }

  delete(address: BlobAddress, options?: AbortableOptions): Promise<void> {
    return this.#inFlight.run('delete a blob', async () => {
      checkAbortable('delete', options);
      const checked = checkAddress(address);
      const closing = [...this.#blobs.closing].filter(({ id, name }) =>
        typeof checked === 'bigint' ? id === checked : name === checked.name,
      );
      if (closing.length > 0) await Promise.allSettled(closing.map((handle) => handle.close()));
      const doomed = this.#blobs.commonsAt(checked);
      await this.parts.metadata.delete(checked);
      for (const commons of doomed) commons.name = undefined;
    });
  }

  snapshot(blobs: readonly Blob[], options?: SnapshotsOptions): Promise<Blob[]> {
    return this.#inFlight.run('snapshot several blobs', async () => {
      const given = checkBlobList(blobs);
      const xattrs = derivedXattrsOf(given, options);
      const { metadata } = this.parts;
      const snapshots = (handles: readonly number[]) => metadata.snapshotAll(handles, xattrs);
      return (await BlobHandle.runOnAll(this.#blobs, given, 'snapshot several blobs', snapshots)).map(this.#toHandle);
    });
  }

  has(address: BlobAddress, options?: AbortableOptions): Promise<boolean> {
    return this.#inFlight.run('look for a blob', () => {
      checkAbortable('has', options);
      return this.parts.metadata.has(checkAddress(address));
    });
  }

  stat(address: BlobAddress, options?: AbortableOptions): Promise<BlobInfo> {
    return this.#inFlight.run('describe a blob', () => {
      checkAbortable('stat', options);
      return this.parts.metadata.stat(checkAddress(address));
    });
  }

  rename(address: BlobAddress, name: string, options?: AbortableOptions): Promise<void> {
    return this.#inFlight.run('rename a blob', async () => {
      checkAbortable('rename', options);
      const checked = checkAddress(address);
      const id = await this.parts.metadata.rename(checked, checkText('the name of a blob', name));
      for (const commons of this.#blobs.commonsAt(id)) commons.name = name;
    });
  }

  blobs(filter?: BlobFilter): Promise<BlobInfo[]> {
    return this.#inFlight.run('list blobs', () => this.parts.metadata.blobs(checkBlobFilter(filter).filter));
  }

  eachBlob(filter?: BlobFilter): AsyncIterableIterator<BlobInfo> {
    return this.#inFlight.runSync('list blobs', () => this.#eachBlob(checkBlobFilter(filter)));
  }

  async *#eachBlob({ filter, signal }: CheckedFilter): AsyncGenerator<BlobInfo, void, undefined> {
    for (let from: number | undefined = 0; from !== undefined; ) {
      const start: number = from;
      const part = await this.#inFlight.run('list blobs', () => {
        throwIfAborted(signal);
        return this.parts.metadata.someBlobs(start, filter);
      });
      yield* part.infos;
      from = part.next;
    }
  }

  stats(options?: AbortableOptions): Promise<StoreStats> {
    return this.#inFlight.run('read the statistics', () => {
      checkAbortable('stats', options);
      return this.parts.metadata.stats();
    });
  }

  getSuperBlob(options?: AbortableOptions): Promise<bigint | undefined> {
    return this.#inFlight.run('get the super blob', () => {
      checkAbortable('getSuperBlob', options);
      return this.parts.metadata.getSuperBlob();
    });
  }

  setSuperBlob(address: BlobAddress | undefined, options?: AbortableOptions): Promise<void> {
    return this.#inFlight.run('set the super blob', async () => {
      checkAbortable('setSuperBlob', options);
      await this.parts.metadata.setSuperBlob(address === undefined ? undefined : checkAddress(address));
    });
  }

  grow(options?: GrowOptions): Promise<void> {
    return this.#inFlight.run('grow the store', () => {
      const { sizeBytes, signal } = checkOptions('options of grow', options, ['sizeBytes', 'signal']);
      checkNotAborted(signal);
      if (sizeBytes !== undefined) checkInteger('sizeBytes', sizeBytes, 1, Number.MAX_SAFE_INTEGER);
      return this.parts.metadata.grow(sizeBytes);
    });
  }

  flush(options?: AbortableOptions): Promise<void> {
    return this.#inFlight.run('flush the store', () => {
      checkAbortable('flush', options);
      return this.parts.metadata.flush();
    });
  }

  flushSync(): void {
    this.#inFlight.runSync('flush the store', () => this.parts.sync.flush());
  }

  dump(to?: undefined, options?: AbortableOptions): Promise<string>;
  dump(to: Writable, options?: AbortableOptions): Promise<void>;
  dump(to?: Writable, options?: AbortableOptions): Promise<unknown> {
    return this.#inFlight.run('dump the store', async () => {
      checkWritableOr('what to dump to', to);
      const signal = checkAbortable('dump', options);
      const bytes = Buffer.from((await this.parts.metadata.dump()).buffer);
      if (to === undefined) return bytes.toString();
      try {
        return await pipeline(Readable.from(chunksOf(bytes)), to, { end: false, signal });
      } catch (error) {
        throwIfAborted(signal);
        throw error;
      }
    });
  }

  share(): StoreHandle {
    return this.#inFlight.runSync('share the store', () => this.parts.share());
  }

  allocate(bytes: number): Uint8Array {
    return this.#inFlight.runSync('allocate memory', () => allocateFor(this.parts.device, bytes));
  }

  release(buffer: Uint8Array): void {
    this.#inFlight.runSync('release memory', () => releaseTo(this.parts.device, buffer));
  }

  close(): Promise<void> {
    return this.#end('close');
  }

  destroy(): Promise<void> {
    if (this.isReadOnly) return Promise.reject(openedReadOnly());
    return this.#end('destroy');
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  toJSON(): object {
    const { isClosed, clusterSizeBytes, ioUnitBytes } = this;
    return {
      isClosed,
      clusterSizeBytes,
      ioUnitBytes,
      openBlobs: this.#blobs.handles.size,
      damaged: this.damaged.map(({ id, error: { code, message } }) => ({ id: `${id}`, code, message })),
    };
  }

  [inspect.custom](depth: number, options: object): string {
    return inspected('Store', this, depth, options);
  }

  readonly #toHandle = (opened: OpenedBlob) => new BlobHandle(this.#blobs, opened);

  /** Throws EBADF if the store is closed, ENOTSUP if this thread gets no events. */
  #requireEvents(): void {
    this.#inFlight.requireOpen();
    const { noEvents } = this.parts;
    if (noEvents !== undefined) throw new BlobstoreError('ENOTSUP', noEvents);
  }

  #end(ending: StoreEnding): Promise<void> {
    this.#ending ??= this.#endOnce(ending).catch((error: unknown) => {
      const { state, title } = this.parts;
      if (state !== 'ended') this.#ending = undefined;
      if (state === 'open') this.#inFlight.reopen();
      throw coded(error, `close ${title}`);
    });
    return this.#ending;
  }

  async #endOnce(ending: StoreEnding): Promise<void> {
    const { busy } = this.parts;
    const { handles } = this.#blobs;
    busy?.begin();
    try {
      this.parts.beginEnd();
      const idle = this.#inFlight.close();
      const closing = [...handles].map((handle) => handle.close());
      await idle;
      await Promise.allSettled(closing);
      // Handles that were opened meanwhile, or could not be closed.
      const closed = await Promise.allSettled([...handles].map((handle) => handle.close()));
      const failed = closed.find((each) => each.status === 'rejected');
      await this.parts.end(ending, failed && { error: failed.reason });
    } finally {
      busy?.end();
    }
  }
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += DUMP_CHUNK_BYTES) yield bytes.subarray(at, at + DUMP_CHUNK_BYTES);
}
