/** A store whose metadata is on this thread, with the operations for its users on any thread. */

import { type Blobstore, BlobstoreError, dumpStore, INVALID_BLOB_ID, type Steps } from '@blobyard/core';
import { Mutex } from 'async-mutex';
import type { BlobInfo } from '../api/blob.js';
import { openedReadOnly } from '../api/failures.js';
import type {
  BlobAddress,
  BlobFilter,
  Damage,
  LowSpace,
  OpenBlobOptions,
  Recovered,
  StoreStats,
} from '../api/store.js';
import type { ClientCallbacks } from '../calls/client-callbacks.js';
import type { NewBlob } from '../checks/blob-options.js';
import { NAME_XATTR } from '../checks/xattr-values.js';
import type { HeldDevice } from '../devices/open-device.js';
import type { RowService } from '../mailbox/row-client.js';
import type { BlobsPart } from '../ports/metadata-port.js';
import type { MetadataEvent, StoreEnding } from '../ports/store-parts.js';
import { BlobLister } from './blob-list.js';
import { lengthen } from './lengthen.js';
import { LocalBlob, requireNoReferences } from './local-blob.js';
import { changeXattrs } from './local-xattrs.js';
import { freeBytesOf, LowSpaceWatch } from './low-space.js';
import { SelfSync } from './self-sync.js';
import { Sharing } from './sharing.js';
import { isCoded, type StoreContext, superBlobOf } from './store-context.js';

export interface LocalStoreOptions {
  /** The threshold of the event `low-space`, in bytes. 0: no event; undefined: 5 % of the store. */
  readonly lowSpaceBytes?: number | undefined;
  /** Milliseconds between automatic syncs. 0: none; undefined: as the device needs them. */
  readonly syncIntervalMs?: number | undefined;
  /** The store was recovered. Undefined: it was not. */
  readonly recovered?: Recovered | undefined;
}

/** Metadata thread. */
export class LocalStore {
  readonly context: StoreContext;
  readonly held: HeldDevice;
  readonly damaged: readonly Damage[];
  readonly sharing: Sharing;
  readonly #selfSync: SelfSync | undefined;
  readonly #lister: BlobLister;
  /** Held while the store grows. */
  readonly #growing = new Mutex();
  #onEvent: ((event: MetadataEvent) => void) | undefined;
  readonly #recovered: Recovered | undefined;
  #state: 'open' | 'ending' | 'ended' = 'open';

  /**
   * @param held - owned by the store from now on, and released with it
   * @param serve - makes the service for one attached thread
   */
  constructor(
    context: StoreContext,
    held: HeldDevice,
    serve: (store: LocalStore, callbacks: ClientCallbacks) => RowService,
    { lowSpaceBytes, syncIntervalMs, recovered }: LocalStoreOptions = {},
  ) {
    this.context = context;
    this.held = held;
    this.sharing = new Sharing(context, (callbacks) => serve(this, callbacks), held.shareWindow);
    this.damaged = context.blobstore.damaged.map(({ id, error }) => ({ id, error }));
    this.#lister = new BlobLister(context);
    this.#recovered = recovered;
    if (this.isReadOnly) return; // its space does not change, and there is nothing to sync
    this.#watchSpace(lowSpaceBytes);
    this.#selfSync = new SelfSync(context.blobstore, () => this.flush(), syncIntervalMs);
  }

  /** 'open' again after an `end` that failed with EBUSY. */
  get state(): 'open' | 'ending' | 'ended' {
    return this.#state;
  }

  get isReadOnly(): boolean {
    return this.context.blobstore.shared.refusesWrites;
  }

  /** Sets the callback for events. One from the opening comes in a later turn of the event loop. */
  onEvent(callback: (event: MetadataEvent) => void): void {
    this.#onEvent = callback;
    const about = this.#recovered;
    if (about !== undefined) setImmediate(() => callback({ name: 'recovered', about }));
  }

  /** @param keep - called with the blob's reference */
  create<T>({ xattrs, ...options }: NewBlob, keep: (blob: LocalBlob) => T): Promise<T> {
    const { blobstore, catalogue, naming } = this.context;
    const { name, values } = naming.forNew(xattrs);
    return catalogue.promising(name, undefined, async () => {
      const id = await this.context.run(blobstore.createBlob({ ...options, xattrs: values }));
      catalogue.add(id, name);
      return keep(new LocalBlob(this.context, await this.context.run(blobstore.openBlob(id))));
    });
  }

  /** @param keep - called with the blob's reference */
  open<T>(address: BlobAddress, options: OpenBlobOptions, keep: (blob: LocalBlob) => T): Promise<T> {
    const { blobstore, turns } = this.context;
    const id = this.#find(address);
    return turns.with(id, {}, async () => {
      this.#requireListed(id);
      return keep(new LocalBlob(this.context, await this.context.run(blobstore.openBlob(id, options))));
    });
  }

  openNow(address: BlobAddress, options: OpenBlobOptions): LocalBlob {
    const { blobstore, turns } = this.context;
    const id = this.#find(address);
    return turns.now(id, {}, () => {
      return new LocalBlob(this.context, this.context.runNow(blobstore.openBlob(id, options)));
    });
  }

  /** Deletes a blob, and returns its id. Throws EBUSY if it has open references. */
  async delete(address: BlobAddress): Promise<bigint> {
    const { blobstore, catalogue, turns, references } = this.context;
    const id = this.#find(address);
    requireNoReferences(this.context, id);
    await Promise.allSettled(references.of(id).map((each) => each.close()));
    await turns.withAlone(id, async () => {
      this.#requireListed(id);
      requireNoReferences(this.context, id);
      const listing = catalogue.listingOf(id);
      await this.#withoutTitle(id, () => this.context.run(blobstore.deleteBlob(id)));
      if (catalogue.listingOf(id) === listing) catalogue.remove(id); // unless a new blob has the id already
    });
    return id;
  }

  has(address: BlobAddress): boolean {
    const { catalogue } = this.context;
    return typeof address === 'bigint' ? catalogue.has(address) : catalogue.find(address.name) !== undefined;
  }

  async stat(address: BlobAddress): Promise<BlobInfo> {
    const id = this.#find(address);
    const info = await this.#lister.one(id);
    if (info === undefined) throw noBlob(id);
    return info;
  }

  /** Returns the id of the blob. */
  async rename(address: BlobAddress, name: string): Promise<bigint> {
    const blob = await this.open(address, {}, (opened) => opened);
    try {
      await changeXattrs(this.context, blob.engine, new Map([[NAME_XATTR, name]]));
      return blob.id;
    } finally {
      await blob.drop();
    }
  }

  async blobs(filter: BlobFilter): Promise<BlobInfo[]> {
    const passes = this.#passes(filter);
    const infos = await this.#lister.list();
    return Object.keys(filter).length === 0 ? infos : infos.filter(passes);
  }

  async someBlobs(from: number, filter: BlobFilter): Promise<BlobsPart> {
    const passes = this.#passes(filter);
    const { infos, next } = await this.#lister.part(from);
    return { infos: infos.filter(passes), next };
  }

  stats(): StoreStats {
    const { blobstore, catalogue, clusterBytes } = this.context;
    const { geometry } = blobstore;
    return {
      freeBytes: freeBytesOf(blobstore),
      totalBytes: blobstore.dataClusterCount * clusterBytes,
      clusterSizeBytes: clusterBytes,
      ioUnitBytes: geometry.ioUnitBytes,
      mdPageCount: geometry.mdPageCount,
      growLimitBytes: blobstore.growLimitBytes,
      blobCount: catalogue.size,
      bstype: blobstore.bstype,
    };
  }

  getSuperBlob(): bigint | undefined {
    return superBlobOf(this.context.blobstore);
  }

  async setSuperBlob(address: BlobAddress | undefined): Promise<void> {
    const id = address === undefined ? INVALID_BLOB_ID : this.#find(address);
    await this.context.run(this.context.blobstore.setSuper(id));
  }

  /** @param sizeBytes - the device is made this long first, if it is shorter */
  grow(sizeBytes: number | undefined): Promise<void> {
    return this.#growing.runExclusive(async () => {
      if (sizeBytes !== undefined) await lengthen(this.context.blobstore, sizeBytes);
      const { blobstore, clusterBytes } = this.context;
      const before = blobstore.dataClusterCount;
      await this.context.run(blobstore.growLive());
      const { dataClusterCount } = blobstore;
      if (dataClusterCount === before) return;
      const addedBytes = (dataClusterCount - before) * clusterBytes;
      this.#tell({ name: 'grown', about: { totalBytes: dataClusterCount * clusterBytes, addedBytes } });
    });
  }

  flush(): Promise<void> {
    const { blobstore } = this.context;
    return this.context.flush('store', blobstore.unsyncedBlobIds(), () => blobstore.flush());
  }

  flushNow(): void {
    const { blobstore, turns } = this.context;
    turns.nowWithState(blobstore.unsyncedBlobIds(), () => this.context.runNow(blobstore.flush()));
  }

  /** Returns the store's metadata as text. `dumpStore` gives a character for each byte; Latin-1 restores the bytes. */
  async dump(): Promise<Uint8Array> {
    const pieces: Buffer[] = [];
    await this.context.run(dumpStore(this.context.device, (text) => pieces.push(Buffer.from(text, 'latin1'))));
    return Uint8Array.from(Buffer.concat(pieces));
  }

  /** Throws EBADF once the store is being closed. */
  requireOpen(): void {
    if (this.#state !== 'open') throw new BlobstoreError('EBADF', 'the store is closed: open it again first');
  }

  /** EPERM in a store that was opened for reading only. */
  requireWritable(): void {
    this.requireOpen();
    if (this.isReadOnly) throw openedReadOnly();
  }

  /**
   * Ends the store.
   * @param failure - if given, nothing more is written, and its error is thrown when everything has been released
   */
  async end(ending: StoreEnding, failure?: { readonly error: unknown }): Promise<void> {
    const { blobstore } = this.context;
    this.#state = 'ending';
    try {
      await this.#selfSync?.idle();
      await this.sharing.evict();
      if (failure) throw failure.error;
      if (!blobstore.isClosed && !this.isReadOnly) await this.context.run(stepsOf(ending, blobstore));
    } catch (error) {
      if (isCoded(error, 'EBUSY') && !blobstore.isClosed) {
        this.#state = 'open';
        throw error;
      }
      await this.abandon();
      throw error;
    }
    await this.abandon();
  }

  /**
   * Releases the device once no thread uses it. If the store has not been closed, its content stays as it is, and
   * opening it again recovers it.
   */
  async abandon(): Promise<void> {
    this.#state = 'ending';
    this.#selfSync?.stop();
    this.sharing.stop();
    try {
      await this.context.run(this.context.blobstore.abandon());
    } finally {
      try {
        await this.sharing.shutOut();
      } finally {
        this.#state = 'ended';
        await this.held.release();
      }
    }
  }

  #watchSpace(lowSpaceBytes: number | undefined): void {
    const tell = (about: LowSpace) => this.#tell({ name: 'low-space', about });
    const watch = new LowSpaceWatch(this.context.blobstore, lowSpaceBytes, tell);
    setImmediate(() => watch.look()); // once there are listeners
  }

  /** Listeners are called after the current operation's step, so that what they do cannot interfere with it. */
  #tell(event: MetadataEvent): void {
    process.nextTick(() => this.#onEvent?.(event));
  }

  #passes({ prefix, snapshots, clones, parent }: BlobFilter): (info: BlobInfo) => boolean {
    const parentId = parent === undefined ? undefined : this.#find(parent);
    return (info) =>
      (prefix === undefined || info.name?.startsWith(prefix) === true) &&
      (snapshots === undefined || info.snapshot === snapshots) &&
      (clones === undefined || info.clone === clones) &&
      (parentId === undefined || info.parentId === parentId);
  }

  /**
   * Returns the id of an existing blob. Throws ENOENT if there is none, and the code of its damage if it is damaged.
   */
  #find(address: BlobAddress): bigint {
    this.requireOpen();
    const id = typeof address === 'bigint' ? address : this.context.catalogue.find(address.name);
    if (id === undefined) {
      const { name } = address as { name: string };
      throw new BlobstoreError(
        'ENOENT',
        `there is no blob with the name '${name}'; blobs() lists those that are there`,
      );
    }
    this.#requireListed(id);
    return id;
  }

  #requireListed(id: bigint): void {
    if (this.context.catalogue.has(id)) return;
    const damage = this.damaged.find((each) => each.id === id);
    if (damage)
      throw new BlobstoreError(damage.error.code, `blob ${id} is damaged: ${damage.error.message}`, {
        cause: damage.error,
      });
    throw noBlob(id);
  }

  /**
   * Runs the deletion of a blob. A super blob is unset first, because a new blob may get its id. If the deletion fails,
   * it is set again.
   */
  async #withoutTitle(id: bigint, deletion: () => Promise<void>): Promise<void> {
    const { blobstore } = this.context;
    if (superBlobOf(blobstore) !== id) return deletion();
    await this.context.run(blobstore.setSuper(INVALID_BLOB_ID));
    try {
      await deletion();
    } catch (error) {
      await this.context.run(blobstore.setSuper(id));
      throw error;
    }
  }
}

function noBlob(id: bigint): BlobstoreError {
  return new BlobstoreError('ENOENT', `there is no blob ${id}; blobs() lists those that are there`);
}

function stepsOf(ending: StoreEnding, blobstore: Blobstore): Steps<void> {
  return ending === 'destroy' ? blobstore.destroy() : blobstore.unload();
}
