/** A store all of which lives on the thread that opened it. */

import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type Blobstore,
  BlobstoreError,
  type Channel,
  dumpStore,
  type Blob as EngineBlob,
  INVALID_BLOB_ID,
  type Steps,
} from '@blobyard/core';
import { asyncDispose } from '../api/async-dispose.js';
import type { BlobInfo } from '../api/blob.js';
import type {
  BlobAddress,
  CreateBlobOptions,
  Damage,
  Engine,
  LowSpace,
  OpenBlobOptions,
  Store,
  StoreEvents,
  StoreListener,
  StoreStats,
} from '../api/store.js';
import { checkWritableOr } from '../checks.js';
import { operationTurns } from '../data/loop-turns.js';
import { Listeners } from '../data/store-events.js';
import { allocateFor, releaseTo } from '../data/store-memory.js';
import { coded } from '../failures.js';
import { AttachedService } from '../threads/attached-service.js';
import type { StoreHandle } from '../threads/store-handle.js';
import { checkAddress, checkCreateBlob, checkOpenBlob } from './blob-options.js';
import { InFlight } from './in-flight.js';
import { InlineBlob, requireNoHandles } from './inline-blob.js';
import { freeBytesOf, LowSpaceWatch } from './low-space.js';
import type { HeldDevice } from './open-device.js';
import { SelfSync } from './self-sync.js';
import { Sharing } from './sharing.js';
import { type StoreContext, superBlobOf } from './store-context.js';

export interface InlineStoreOptions {
  /** Threshold of the event `low-space`. */
  readonly lowSpaceBytes?: number | undefined;
  /** Milliseconds between syncs that nobody asked for. */
  readonly syncIntervalMs?: number | undefined;
}

export class InlineStore implements Store {
  readonly damaged: readonly Damage[];
  readonly #context: StoreContext;
  readonly #held: HeldDevice;
  readonly #inFlight = new InFlight('the store', undefined, operationTurns);
  readonly #sharing: Sharing;
  readonly #listeners = new Listeners();
  readonly #selfSync: SelfSync;
  #ending: Promise<void> | undefined;
  #engineChannel: Channel | undefined;

  /** @param held - the store's from now on, to be released with it */
  constructor(context: StoreContext, held: HeldDevice, { lowSpaceBytes, syncIntervalMs }: InlineStoreOptions = {}) {
    this.#context = context;
    this.#held = held;
    this.#sharing = new Sharing(context, (callbacks) => new AttachedService(this, callbacks), held.shareWindow);
    this.damaged = context.blobstore.damaged.map(({ id, error }) => ({ id, error }));
    this.#watchSpace(lowSpaceBytes);
    this.#selfSync = new SelfSync(context.blobstore, () => this.flush(), syncIntervalMs);
  }

  get isClosed(): boolean {
    return this.#inFlight.isClosed;
  }

  get engine(): Engine {
    const { blobstore } = this.#context;
    const openChannel = () =>
      this.#inFlight.runSync('open a channel', () => {
        this.#engineChannel ??= blobstore.openChannel();
        return this.#engineChannel;
      });
    return {
      blobstore,
      get channel() {
        return openChannel();
      },
    };
  }

  /** What has not ended; each is 0 when nothing is under way. For tests. */
  get underWay(): Readonly<Record<'operations' | 'frozen', number>> {
    const { outstanding, frozenDepth } = this.#context.channel;
    return { operations: outstanding, frozen: frozenDepth };
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

  create(options?: CreateBlobOptions): Promise<InlineBlob> {
    return this.#inFlight.run('create a blob', () => {
      const { blobstore, catalogue, clusterBytes, naming } = this.#context;
      const { given, engineOptions } = checkCreateBlob(options, clusterBytes);
      const { name, values } = naming.forNew(given);
      return catalogue.promising(name, undefined, async () => {
        const id = await this.#context.run(blobstore.createBlob({ ...engineOptions, xattrs: values }));
        catalogue.add(id, name);
        return new InlineBlob(this.#context, await this.#context.run(blobstore.openBlob(id)));
      });
    });
  }

  open(address: BlobAddress, options?: OpenBlobOptions): Promise<InlineBlob> {
    return this.#inFlight.run('open a blob', () => {
      const { blobstore, turns } = this.#context;
      const engineOptions = checkOpenBlob(options);
      const id = this.#find(address);
      return turns.with(id, {}, async () => {
        this.#requireListed(id);
        return new InlineBlob(this.#context, await this.#context.run(blobstore.openBlob(id, engineOptions)));
      });
    });
  }

  delete(address: BlobAddress): Promise<void> {
    return this.#inFlight.run('delete a blob', async () => {
      const { blobstore, catalogue, turns } = this.#context;
      const id = this.#find(address);
      requireNoHandles(this.#context, id);
      const closing = [...this.#context.handles].filter((handle) => handle.id === id);
      await Promise.allSettled(closing.map((handle) => handle.close()));
      await turns.withAlone(id, async () => {
        this.#requireListed(id);
        requireNoHandles(this.#context, id);
        const listing = catalogue.listingOf(id);
        await this.#withoutTitle(id, () => this.#context.run(blobstore.deleteBlob(id)));
        if (catalogue.listingOf(id) === listing) catalogue.remove(id); // or a new blob has got the id already
      });
    });
  }

  /** The id of a blob that is there. Throws ENOENT, and the damage of a damaged blob. */
  idOf(address: BlobAddress): bigint {
    return this.#inFlight.runSync('look for a blob', () => this.#find(address));
  }

  blobs(): Promise<BlobInfo[]> {
    return this.#inFlight.run('list blobs', async () => {
      const infos: BlobInfo[] = [];
      for (const id of this.#context.catalogue.ids()) {
        const info = await this.#context.turns.with(id, { state: true }, () => this.#look(id));
        if (info !== undefined) infos.push(info);
      }
      return infos;
    });
  }

  stats(): Promise<StoreStats> {
    return this.#inFlight.run('read the statistics', async () => {
      const { blobstore, catalogue, clusterBytes } = this.#context;
      const { geometry } = blobstore;
      return {
        freeBytes: freeBytesOf(blobstore),
        totalBytes: blobstore.dataClusterCount * clusterBytes,
        clusterSizeBytes: clusterBytes,
        ioUnitBytes: geometry.ioUnitBytes,
        mdPageCount: geometry.mdPageCount,
        blobCount: catalogue.size,
        bstype: blobstore.bstype,
      };
    });
  }

  getSuperBlob(): Promise<bigint | undefined> {
    return this.#inFlight.run('look for the super blob', async () => superBlobOf(this.#context.blobstore));
  }

  setSuperBlob(address: BlobAddress | undefined): Promise<void> {
    return this.#inFlight.run('name the super blob', async () => {
      const id = address === undefined ? INVALID_BLOB_ID : this.#find(address);
      await this.#context.run(this.#context.blobstore.setSuper(id));
    });
  }

  grow(): Promise<void> {
    return this.#inFlight.run('grow the store', () => this.#context.run(this.#context.blobstore.growLive()));
  }

  flush(): Promise<void> {
    return this.#inFlight.run('flush the store', async () => {
      const { blobstore, turns } = this.#context;
      await turns.withState(blobstore.openBlobIds(), () => this.#context.run(blobstore.flush()));
    });
  }

  dump(): Promise<string>;
  dump(to: Writable): Promise<void>;
  dump(to?: Writable): Promise<unknown> {
    return this.#inFlight.run('dump the store', async () => {
      checkWritableOr('what to dump to', to);
      const pieces: Buffer[] = [];
      await this.#context.run(dumpStore(this.#context.device, (text) => pieces.push(Buffer.from(text, 'latin1'))));
      if (to === undefined) return Buffer.concat(pieces).toString();
      return pipeline(Readable.from(pieces), to, { end: false });
    });
  }

  share(): StoreHandle {
    return this.#inFlight.runSync('share the store', () => this.#sharing.handle);
  }

  /** The thread that had a row of the channel table is dead, and the system does not tell. */
  endDead(row: number): Promise<void> {
    return this.#inFlight.run('end a dead channel', () => this.#sharing.endDead(row));
  }

  allocate(bytes: number): Uint8Array {
    return this.#inFlight.runSync('allocate memory', () => allocateFor(this.#context.device, bytes));
  }

  release(buffer: Uint8Array): void {
    this.#inFlight.runSync('release memory', () => releaseTo(this.#context.device, buffer));
  }

  close(): Promise<void> {
    return this.#end((blobstore) => blobstore.unload());
  }

  destroy(): Promise<void> {
    return this.#end((blobstore) => blobstore.destroy());
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Listeners are called when what goes on now is over: it must not meet what they do. */
  #watchSpace(lowSpaceBytes: number | undefined): void {
    const tell = (lowSpace: LowSpace) => {
      process.nextTick(() => {
        if (!this.isClosed) this.#listeners.tell('low-space', lowSpace);
      });
    };
    const watch = new LowSpaceWatch(this.#context.blobstore, lowSpaceBytes, tell);
    setImmediate(() => watch.look()); // once there are listeners
  }

  #end(finish: (blobstore: Blobstore) => Steps<void>): Promise<void> {
    this.#ending ??= this.#endOnce(finish).catch((error: unknown) => {
      if (!this.#inFlight.isClosed) this.#ending = undefined;
      throw coded(error, 'close the store');
    });
    return this.#ending;
  }

  async #endOnce(finish: (blobstore: Blobstore) => Steps<void>): Promise<void> {
    const { blobstore, handles } = this.#context;
    this.#sharing.unpace();
    const idle = this.#inFlight.close();
    const closing = [...handles].map((handle) => handle.close());
    await idle;
    await Promise.allSettled(closing);
    try {
      await this.#sharing.evict();
      await Promise.all([...handles].map((handle) => handle.close())); // those that were opened meanwhile, or failed
      if (!blobstore.isClosed) await this.#context.run(finish(blobstore));
    } catch (error) {
      if (isCoded(error, 'EBUSY') && !blobstore.isClosed) {
        this.#inFlight.reopen();
        throw error;
      }
      await this.#letGo();
      throw error;
    }
    await this.#letGo();
  }

  /** Frees the device once nobody uses it. A store that is open still stays on it as it is, to be recovered: there was an error. */
  async #letGo(): Promise<void> {
    this.#selfSync.stop();
    this.#sharing.stop();
    try {
      await this.#context.run(this.#context.blobstore.abandon());
    } finally {
      try {
        await this.#sharing.shutOut();
      } finally {
        await this.#held.release();
      }
    }
  }

  /** What is known of a blob; undefined if it was deleted meanwhile, or half way so. */
  async #look(id: bigint): Promise<BlobInfo | undefined> {
    const { blobstore, catalogue } = this.#context;
    if (!catalogue.has(id)) return undefined;
    let blob: EngineBlob;
    try {
      blob = await this.#context.run(blobstore.openBlob(id));
    } catch (error) {
      if (isCoded(error, 'EBUSY')) return undefined;
      throw error;
    }
    try {
      return this.#context.infoOf(blob);
    } finally {
      await this.#context.run(blobstore.dropBlob(blob)); // a look at a blob is no place to hear that it cannot be written
    }
  }

  /** The id of a blob that is there. ENOENT, or the damage of a damaged one. */
  #find(address: BlobAddress): bigint {
    const checked = checkAddress(address);
    const id = typeof checked === 'bigint' ? checked : this.#context.catalogue.find(checked.name);
    if (id === undefined) {
      const { name } = checked as { name: string };
      throw new BlobstoreError(
        'ENOENT',
        `there is no blob with the name '${name}'; blobs() lists those that are there`,
      );
    }
    this.#requireListed(id);
    return id;
  }

  #requireListed(id: bigint): void {
    if (this.#context.catalogue.has(id)) return;
    const damage = this.damaged.find((each) => each.id === id);
    if (damage)
      throw new BlobstoreError(damage.error.code, `blob ${id} is damaged: ${damage.error.message}`, {
        cause: damage.error,
      });
    throw new BlobstoreError('ENOENT', `there is no blob ${id}; blobs() lists those that are there`);
  }

  /** Deletes the super blob without its title: a new blob may get its id. When that fails, it has the title again. */
  async #withoutTitle(id: bigint, deletion: () => Promise<void>): Promise<void> {
    const { blobstore } = this.#context;
    if (superBlobOf(this.#context.blobstore) !== id) return deletion();
    await this.#context.run(blobstore.setSuper(INVALID_BLOB_ID));
    try {
      await deletion();
    } catch (error) {
      await this.#context.run(blobstore.setSuper(id));
      throw error;
    }
  }
}

function isCoded(error: unknown, code: BlobstoreError['code']): boolean {
  return error instanceof BlobstoreError && error.code === code;
}
