/** A store in pool mode: its metadata lives on a thread of its own, its bytes are moved by others. */

import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BlobstoreError } from '@blobyard/core';
import { asyncDispose } from '../api/async-dispose.js';
import type { Blob, BlobInfo } from '../api/blob.js';
import { coded } from '../api/failures.js';
import type {
  BlobAddress,
  CreateBlobOptions,
  Damage,
  Engine,
  OpenBlobOptions,
  Store,
  StoreEvents,
  StoreListener,
  StoreStats,
} from '../api/store.js';
import { checkAddress, checkCreateBlob, checkOpenBlob } from '../checks/blob-options.js';
import { checkWritableOr } from '../checks/checks.js';
import { InFlight } from '../data/in-flight.js';
import type { Listeners } from '../data/store-events.js';
import { allocateFor, releaseTo } from '../data/store-memory.js';
import type { StoreHandle } from '../mailbox/store-handle.js';
import { atProcessEnd } from '../threads/process-end.js';
import { shutOut } from '../threads/shut-out.js';
import { noEngine, PooledBlob } from './pooled-blob.js';
import type { PooledContext } from './pooled-context.js';

/** Bytes of a dump that go into a stream at once. */
const DUMP_CHUNK_BYTES = 1 << 16;

export class PooledStore implements Store {
  readonly damaged: readonly Damage[];
  readonly #context: PooledContext;
  readonly #inFlight: InFlight;
  readonly #listeners: Listeners;
  readonly #forgetAtEnd: (() => void) | undefined;
  #ending: Promise<void> | undefined;

  /** The worker, the data plane and the device are the store's from now on, to be ended with it. */
  constructor(context: PooledContext, listeners: Listeners, damaged: readonly Damage[]) {
    const { metadata } = context;
    this.#context = context;
    this.#listeners = listeners;
    this.damaged = damaged;
    this.#inFlight = new InFlight('the store', metadata.busy);
    const { cacheOwner } = context.held.device;
    // The metadata worker ends with the process, and does not hear of it.
    if (cacheOwner !== 'process') this.#forgetAtEnd = atProcessEnd({ beforeExit: () => this.flush() });
    metadata.onLowSpace((lowSpace) => {
      if (!this.isClosed) this.#listeners.tell('low-space', lowSpace);
    });
    metadata.onDeath((error) => {
      context.plane.onMetadataDeath(error);
      this.#inFlight.fail(error);
      for (const handle of context.handles) handle.fail(error);
    });
  }

  get isClosed(): boolean {
    return this.#inFlight.isClosed;
  }

  get engine(): Engine {
    this.#inFlight.requireOpen();
    throw noEngine('store');
  }

  /** What has not ended on this thread's side; each is 0 when nothing is under way. For tests. */
  get underWay(): Readonly<Record<string, number>> {
    return this.#context.plane.underWay ?? {};
  }

  on<Name extends keyof StoreEvents>(name: Name, listener: StoreListener<Name>): this {
    this.#inFlight.requireOpen();
    this.#listeners.add(name, listener, false);
    return this;
  }

  once<Name extends keyof StoreEvents>(name: Name, listener: StoreListener<Name>): this {
    this.#inFlight.requireOpen();
    this.#listeners.add(name, listener, true);
    return this;
  }

  off<Name extends keyof StoreEvents>(name: Name, listener: StoreListener<Name>): this {
    this.#listeners.remove(name, listener);
    return this;
  }

  create(options?: CreateBlobOptions): Promise<Blob> {
    return this.#inFlight.run('create a blob', async () => {
      const { metadata, geometry } = this.#context;
      const { given, sizeBytes, engineOptions } = checkCreateBlob(options, geometry.clusterBytes);
      const { thin, clearMethod, useExtentTable, externalSnapshotId } = engineOptions;
      const { name, values: xattrs } = given;
      const checked = { sizeBytes, thin, clearMethod, useExtentTable, name, xattrs, externalSnapshotId };
      return new PooledBlob(this.#context, await metadata.call('create', checked), true);
    });
  }

  open(address: BlobAddress, options?: OpenBlobOptions): Promise<Blob> {
    return this.#inFlight.run('open a blob', async () => {
      const { metadata } = this.#context;
      const checked = checkOpenBlob(options);
      return new PooledBlob(this.#context, await metadata.call('open', checkAddress(address), checked), false);
    });
  }

  delete(address: BlobAddress): Promise<void> {
    return this.#inFlight.run('delete a blob', async () => {
      const { metadata, handles } = this.#context;
      const checked = checkAddress(address);
      const isMeant = ({ id, name }: { id: bigint; name: string | undefined }) => {
        return typeof checked === 'bigint' ? id === checked : name === checked.name;
      };
      const closing = [...handles].filter((handle) => handle.isClosed && isMeant(handle));
      await Promise.allSettled(closing.map((handle) => handle.close()));
      await this.#context.forgetting(() => metadata.call('delete', checked));
    });
  }

  blobs(): Promise<BlobInfo[]> {
    return this.#inFlight.run('list blobs', () => this.#context.metadata.call('blobs'));
  }

  stats(): Promise<StoreStats> {
    return this.#inFlight.run('read the statistics', () => this.#context.metadata.call('stats'));
  }

  getSuperBlob(): Promise<bigint | undefined> {
    return this.#inFlight.run('look for the super blob', () => this.#context.metadata.call('getSuperBlob'));
  }

  setSuperBlob(address: BlobAddress | undefined): Promise<void> {
    return this.#inFlight.run('name the super blob', async () => {
      const checked = address === undefined ? undefined : checkAddress(address);
      await this.#context.metadata.call('setSuperBlob', checked);
    });
  }

  grow(): Promise<void> {
    return this.#inFlight.run('grow the store', () => this.#context.metadata.call('grow'));
  }

  flush(): Promise<void> {
    return this.#inFlight.run('flush the store', () => this.#context.metadata.call('flush'));
  }

  dump(): Promise<string>;
  dump(to: Writable): Promise<void>;
  dump(to?: Writable): Promise<unknown> {
    return this.#inFlight.run('dump the store', async () => {
      checkWritableOr('what to dump to', to);
      const bytes = Buffer.from((await this.#context.metadata.call('dump')).buffer);
      return to === undefined ? bytes.toString() : pipeline(Readable.from(chunksOf(bytes)), to, { end: false });
    });
  }

  share(): StoreHandle {
    return this.#inFlight.runSync('share the store', () => this.#context.handle);
  }

  allocate(bytes: number): Uint8Array {
    return this.#inFlight.runSync('allocate memory', () => allocateFor(this.#context.held.device, bytes));
  }

  release(buffer: Uint8Array): void {
    this.#inFlight.runSync('release memory', () => releaseTo(this.#context.held.device, buffer));
  }

  /**
   * As `Store.close`. When the metadata worker has died this ends what is left of the store (its threads, its lock), and then
   * throws why it died: not all that was acknowledged may be on the device.
   */
  close(): Promise<void> {
    return this.#end('close');
  }

  destroy(): Promise<void> {
    return this.#end('destroy');
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  #end(finish: 'close' | 'destroy'): Promise<void> {
    this.#ending ??= this.#endOnce(finish).catch((error: unknown) => {
      if (!this.#inFlight.isClosed) this.#ending = undefined;
      throw coded(error, 'close the store');
    });
    return this.#ending;
  }

  async #endOnce(finish: 'close' | 'destroy'): Promise<void> {
    const { metadata, handles } = this.#context;
    const idle = this.#inFlight.close();
    const closing = [...handles].map((handle) => handle.close());
    await idle;
    await Promise.allSettled(closing);
    try {
      await Promise.all([...handles].map((handle) => handle.close())); // those that were opened meanwhile, or failed
      await metadata.call(finish);
    } catch (error) {
      if (error instanceof BlobstoreError && error.code === 'EBUSY') {
        this.#inFlight.reopen();
        throw error;
      }
      await Promise.allSettled([metadata.call('abandon')]);
      await this.#letGo();
      throw error;
    }
    await this.#letGo();
  }

  /** Ends the threads, keeps out those that it cannot end, and only then frees the device. */
  async #letGo(): Promise<void> {
    const { metadata, plane, held, shared } = this.#context;
    this.#context.isEnded = true;
    this.#forgetAtEnd?.();
    try {
      await plane.stop();
    } finally {
      try {
        await metadata.end();
        await shutOut(shared, held.shareWindow);
      } finally {
        await held.release();
      }
    }
  }
}

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += DUMP_CHUNK_BYTES) yield bytes.subarray(at, at + DUMP_CHUNK_BYTES);
}
