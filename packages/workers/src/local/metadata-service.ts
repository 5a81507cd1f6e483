/**
 * The metadata thread's service for one client: the store on this same thread, the client of a metadata worker, or an
 * attached thread. Each client has handles of its own.
 */

import type { BlockDevice, Blob as EngineBlob } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { BlobInfo } from '../api/blob.js';
import { openedReadOnly } from '../api/failures.js';
import type { BlobAddress, BlobFilter, OpenBlobOptions, StoreStats } from '../api/store.js';
import type { NewBlob } from '../checks/blob-options.js';
import type { PacedCopyOptions, PacedWorkOptions } from '../checks/long-work.js';
import type { DerivedXattrs } from '../checks/xattr-values.js';
import type {
  BlobsPart,
  MetadataPort,
  OpenedBlob,
  SyncMetadata,
  XattrChanges,
  XattrsChanged,
} from '../ports/metadata-port.js';
import type { LocalBlob } from './local-blob.js';
import type { LocalStore } from './local-store.js';
import { changeXattrs, xattrOf } from './local-xattrs.js';
import { OpenHandles } from './open-handles.js';
import { snapshotAll } from './snapshot-all.js';

export class MetadataService implements MetadataPort {
  /** The client's open handles. */
  readonly handles = new OpenHandles<LocalBlob>();
  readonly #store: LocalStore;

  constructor(store: LocalStore) {
    this.#store = store;
  }

  async create(blob: NewBlob): Promise<OpenedBlob> {
    return this.#writable.create(blob, this.#keep);
  }

  open(address: BlobAddress, options: OpenBlobOptions): Promise<OpenedBlob> {
    return this.#opened.open(address, options, this.#keep);
  }

  async delete(address: BlobAddress): Promise<void> {
    await this.#writable.delete(address);
  }

  async has(address: BlobAddress): Promise<boolean> {
    return this.#opened.has(address);
  }

  async stat(address: BlobAddress): Promise<BlobInfo> {
    return this.#opened.stat(address);
  }

  async rename(address: BlobAddress, name: string): Promise<bigint> {
    return this.#writable.rename(address, name);
  }

  async blobs(filter: BlobFilter): Promise<BlobInfo[]> {
    return this.#opened.blobs(filter);
  }

  async someBlobs(from: number, filter: BlobFilter): Promise<BlobsPart> {
    return this.#opened.someBlobs(from, filter);
  }

  async stats(): Promise<StoreStats> {
    return this.#opened.stats();
  }

  async getSuperBlob(): Promise<bigint | undefined> {
    return this.#opened.getSuperBlob();
  }

  async setSuperBlob(address: BlobAddress | undefined): Promise<void> {
    await this.#writable.setSuperBlob(address);
  }

  async grow(sizeBytes: number | undefined): Promise<void> {
    await this.#writable.grow(sizeBytes);
  }

  async flush(): Promise<void> {
    await this.#opened.flush();
  }

  async dump(): Promise<Uint8Array> {
    return this.#opened.dump();
  }

  async info(handle: number): Promise<BlobInfo> {
    return this.#blob(handle).info();
  }

  async clones(handle: number): Promise<readonly bigint[]> {
    return this.#blob(handle).clones();
  }

  async snapshot(handle: number, xattrs: DerivedXattrs): Promise<OpenedBlob> {
    return this.#keep(await this.#toChange(handle).snapshot(xattrs));
  }

  async snapshotAll(handles: readonly number[], xattrs: readonly DerivedXattrs[]): Promise<OpenedBlob[]> {
    const blobs = handles.map((handle) => this.#toChange(handle));
    return (await snapshotAll(this.#opened.context, blobs, xattrs)).map(this.#keep);
  }

  async clone(handle: number, xattrs: DerivedXattrs): Promise<OpenedBlob> {
    return this.#keep(await this.#toChange(handle).clone(xattrs));
  }

  async inflate(handle: number, options: PacedWorkOptions): Promise<void> {
    await this.#toChange(handle).inflate(options);
  }

  async decouple(handle: number, options: PacedWorkOptions): Promise<void> {
    await this.#toChange(handle).decouple(options);
  }

  async copyTo(handle: number, device: DeviceSpec | BlockDevice, options: PacedCopyOptions): Promise<number> {
    return this.#blob(handle).copyTo(device, options);
  }

  async resize(handle: number, clusterCount: number, how?: 'grow'): Promise<void> {
    await this.#toChange(handle).resize(clusterCount, how);
  }

  async setReadOnly(handle: number): Promise<void> {
    await this.#toChange(handle).setReadOnly();
  }

  async syncBlob(handle: number): Promise<void> {
    await this.#blob(handle).sync();
  }

  async flushBlob(handle: number): Promise<void> {
    await this.#blob(handle).flush();
  }

  async getXattr(handle: number, name: string): Promise<Uint8Array | undefined> {
    return xattrOf(this.#store.context, this.engineBlob(handle), name);
  }

  async getXattrText(handle: number, name: string): Promise<string | undefined> {
    const { context } = this.#store;
    const value = xattrOf(context, this.engineBlob(handle), name);
    return value === undefined ? undefined : context.naming.textIn(name, value);
  }

  async listXattrs(handle: number): Promise<string[]> {
    return this.#store.context.blobstore.xattrNames(this.engineBlob(handle));
  }

  async changeXattrs(handle: number, changes: XattrChanges): Promise<XattrsChanged> {
    const { context } = this.#store;
    const blob = this.#toChange(handle).engine;
    const isChanged = await changeXattrs(context, blob, changes);
    return { isChanged, name: context.catalogue.nameOf(blob.id) };
  }

  closeHandle(handle: number): Promise<void> {
    return this.handles.close(handle);
  }

  /** The synchronous forms. They throw ENOTSUP on an asynchronous device, EBUSY if they would have to wait. */
  get sync(): SyncMetadata {
    return {
      open: (address, options) => this.#keep(this.#opened.openNow(address, options)),
      flush: () => this.#opened.flushNow(),
      syncBlob: (handle) => this.#blob(handle).syncNow(),
      flushBlob: (handle) => this.#blob(handle).flushNow(),
      closeHandle: (handle) => {
        this.#blob(handle).closeNow();
        this.handles.forget(handle);
      },
    };
  }

  engineBlob(handle: number): EngineBlob {
    return this.#blob(handle).engine;
  }

  get #opened(): LocalStore {
    this.#store.requireOpen();
    return this.#store;
  }

  /** The store, for a call that changes it. */
  get #writable(): LocalStore {
    this.#store.requireWritable();
    return this.#store;
  }

  readonly #keep = (blob: LocalBlob): OpenedBlob => {
    const { slot, generation } = blob.engine;
    const name = this.#store.context.catalogue.nameOf(blob.id);
    return { handle: this.handles.add(blob), id: blob.id, name, slot, generation };
  };

  /** The blob of a handle, for a call that changes the store. */
  #toChange(handle: number): LocalBlob {
    const blob = this.#blob(handle);
    if (this.#store.isReadOnly) throw openedReadOnly();
    return blob;
  }

  #blob(handle: number): LocalBlob {
    return this.handles.get(handle);
  }
}
