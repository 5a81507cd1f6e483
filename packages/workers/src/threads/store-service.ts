/**
 * What the metadata thread does with an open store for somebody on another thread: the client of a metadata worker, or an attached
 * thread. The handles of its blobs are numbers. Methods take and give what can be posted; arguments of a client have been checked
 * by it, and are checked again where an inline store does.
 */

import { Writable } from 'node:stream';
import type { DeviceSpec } from '@blobyard/io';
import type { BlobInfo, DerivedBlobOptions, XattrValues } from '../api/blob.js';
import type { BlobAddress, CreateBlobOptions, OpenBlobOptions, StoreStats } from '../api/store.js';
import type { InlineBlob } from '../inline/inline-blob.js';
import type { InlineStore } from '../inline/inline-store.js';
import type { ClientCallbacks } from './client-callbacks.js';
import type { Followed, OpenedBlob } from './metadata-protocol.js';
import { OpenHandles } from './open-handles.js';

export abstract class StoreService {
  protected readonly callbacks: ClientCallbacks;
  /** What has been opened by the methods, and not been closed. */
  protected readonly handles = new OpenHandles<InlineBlob>();

  constructor(callbacks: ClientCallbacks) {
    this.callbacks = callbacks;
  }

  /** The store. EBADF while there is none. */
  protected abstract get opened(): InlineStore;

  async create(options: CreateBlobOptions): Promise<OpenedBlob> {
    return this.keep(await this.opened.create(options));
  }

  async open(address: BlobAddress, options: OpenBlobOptions): Promise<OpenedBlob> {
    return this.keep(await this.opened.open(address, options));
  }

  /** Answers the id of the blob that was deleted. */
  async delete(address: BlobAddress): Promise<bigint> {
    const store = this.opened;
    const id = store.idOf(address);
    await store.delete(id);
    return id;
  }

  async blobs(): Promise<BlobInfo[]> {
    return this.opened.blobs();
  }

  async stats(): Promise<StoreStats> {
    return this.opened.stats();
  }

  async getSuperBlob(): Promise<bigint | undefined> {
    return this.opened.getSuperBlob();
  }

  async setSuperBlob(address: BlobAddress | undefined): Promise<void> {
    await this.opened.setSuperBlob(address);
  }

  async grow(): Promise<void> {
    await this.opened.grow();
  }

  async flush(): Promise<void> {
    await this.opened.flush();
  }

  /** The store's metadata as the bytes of a text. */
  async dump(): Promise<Uint8Array> {
    const pieces: Buffer[] = [];
    const collect = (piece: Buffer, _: string, done: () => void) => {
      pieces.push(piece);
      done();
    };
    await this.opened.dump(new Writable({ write: collect }));
    return Uint8Array.from(Buffer.concat(pieces));
  }

  async info(handle: number): Promise<BlobInfo> {
    return this.#blob(handle).info();
  }

  async clones(handle: number): Promise<readonly bigint[]> {
    return this.#blob(handle).clones();
  }

  async snapshot(handle: number, options: DerivedBlobOptions): Promise<OpenedBlob> {
    return this.keep(await this.#blob(handle).snapshot(options));
  }

  async clone(handle: number, options: DerivedBlobOptions): Promise<OpenedBlob> {
    return this.keep(await this.#blob(handle).clone(options));
  }

  async inflate(handle: number, followed: Followed): Promise<void> {
    await this.callbacks.follow(followed, (options) => this.#blob(handle).inflate(options));
  }

  async decouple(handle: number, followed: Followed): Promise<void> {
    await this.callbacks.follow(followed, (options) => this.#blob(handle).decouple(options));
  }

  async copyTo(
    handle: number,
    device: DeviceSpec,
    overwrite: boolean | undefined,
    followed: Followed,
  ): Promise<number> {
    return this.callbacks.follow(followed, (options) => this.#blob(handle).copyTo(device, { ...options, overwrite }));
  }

  async resize(handle: number, bytes: number): Promise<void> {
    await this.#blob(handle).resize(bytes);
  }

  async setReadOnly(handle: number): Promise<void> {
    await this.#blob(handle).setReadOnly();
  }

  async syncBlob(handle: number): Promise<void> {
    await this.#blob(handle).sync();
  }

  async flushBlob(handle: number): Promise<void> {
    await this.#blob(handle).flush();
  }

  async getXattr(handle: number, name: string): Promise<Uint8Array | undefined> {
    return this.#blob(handle).xattrs.get(name);
  }

  async getXattrText(handle: number, name: string): Promise<string | undefined> {
    return this.#blob(handle).xattrs.getText(name);
  }

  async listXattrs(handle: number): Promise<string[]> {
    return this.#blob(handle).xattrs.list();
  }

  /** Answers the name that the blob has afterwards. */
  async setXattrs(handle: number, values: XattrValues): Promise<string | undefined> {
    const blob = this.#blob(handle);
    await blob.xattrs.setAll(values);
    return blob.name;
  }

  /** Answers whether it was there, and the name that the blob has afterwards. */
  async deleteXattr(handle: number, name: string): Promise<{ wasThere: boolean; name: string | undefined }> {
    const blob = this.#blob(handle);
    const wasThere = await blob.xattrs.delete(name);
    return { wasThere, name: blob.name };
  }

  /** Closes a handle. When that fails, it can be tried again. */
  async closeHandle(handle: number): Promise<void> {
    await this.handles.close(handle);
  }

  async abort(call: number): Promise<void> {
    this.callbacks.abort(call);
  }

  async seen(call: number, isRefused: boolean): Promise<void> {
    this.callbacks.seen(call, isRefused);
  }

  /** Keeps a blob that was opened, under a number. */
  protected keep(blob: InlineBlob): OpenedBlob {
    const { slot, generation } = blob.engine;
    return { handle: this.handles.add(blob, slot, generation), id: blob.id, name: blob.name, slot, generation };
  }

  #blob(handle: number): InlineBlob {
    return this.handles.get(handle);
  }
}
