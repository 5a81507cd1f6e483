/**
 * The metadata plane of a store in pool mode: an inline store on the metadata worker, and the handles of its blobs by number.
 * Methods take and give what can be posted; arguments have been checked by the client.
 */

import { Writable } from 'node:stream';
import { BlobstoreError, run } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { Blob, BlobInfo, DerivedBlobOptions, XattrValues } from '../api/blob.js';
import type { BlobAddress, CreateBlobOptions, FoundBlob, OpenBlobOptions, StoreStats } from '../api/store.js';
import { holdShared } from '../devices/open-device.js';
import type { InlineStore } from '../local/inline-store.js';
import { createInline, openInline } from '../local/open-inline.js';
import { toWire } from '../threads/wire-error.js';
import type { ClientCallbacks } from './client-callbacks.js';
import type { ExternalAnswer, Followed, OpenedBlob, OpenedStore, StorePlan } from './metadata-protocol.js';

export class MetadataService {
  readonly #callbacks: ClientCallbacks;
  readonly #onOpened: ((store: InlineStore, service: MetadataService) => void) | undefined;
  readonly #blobs = new Map<number, Blob>();
  #store: InlineStore | undefined;
  #nextHandle = 1;

  /** @param onOpened - called with the store before the client knows of it */
  constructor(callbacks: ClientCallbacks, onOpened?: (store: InlineStore, service: MetadataService) => void) {
    this.#callbacks = callbacks;
    this.#onOpened = onOpened;
  }

  /** Makes or opens the store of this worker. Once. */
  openStore(plan: StorePlan, followed: Followed): Promise<OpenedStore> {
    return this.#callbacks.follow(followed, async ({ signal }) => {
      const found: FoundBlob[] = [];
      this.#store = await this.#open(plan, signal, (blob) => found.push(blob));
      this.#store.on('low-space', (lowSpace) => this.#callbacks.lowSpace(lowSpace));
      this.#onOpened?.(this.#store, this);
      return {
        handle: this.#store.share(),
        damaged: this.#store.damaged.map(({ id, error }) => ({ id, error: toWire(error) })),
        found,
      };
    });
  }

  async create(options: CreateBlobOptions): Promise<OpenedBlob> {
    return this.#keep(await this.#opened.create(options));
  }

  async open(address: BlobAddress, options: OpenBlobOptions): Promise<OpenedBlob> {
    return this.#keep(await this.#opened.open(address, options));
  }

  /** Answers the id of the blob that was deleted. */
  async delete(address: BlobAddress): Promise<bigint> {
    const store = this.#opened;
    const id = store.idOf(address);
    await store.delete(id);
    return id;
  }

  async blobs(): Promise<BlobInfo[]> {
    return this.#opened.blobs();
  }

  async stats(): Promise<StoreStats> {
    return this.#opened.stats();
  }

  async getSuperBlob(): Promise<bigint | undefined> {
    return this.#opened.getSuperBlob();
  }

  async setSuperBlob(address: BlobAddress | undefined): Promise<void> {
    await this.#opened.setSuperBlob(address);
  }

  async grow(): Promise<void> {
    await this.#opened.grow();
  }

  async flush(): Promise<void> {
    await this.#opened.flush();
  }

  /** The store's metadata as the bytes of a text. */
  async dump(): Promise<Uint8Array> {
    const pieces: Buffer[] = [];
    const collect = (piece: Buffer, _: string, done: () => void) => {
      pieces.push(piece);
      done();
    };
    await this.#opened.dump(new Writable({ write: collect }));
    return Uint8Array.from(Buffer.concat(pieces));
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  async destroy(): Promise<void> {
    await this.#store?.destroy();
  }

  /** Lets go of the store as it is: the next to open it recovers it. */
  async abandon(): Promise<void> {
    if (this.#store === undefined) return;
    const { blobstore } = this.#store.engine;
    if (!blobstore.isClosed) await run(blobstore.abandon());
    await this.#store.close();
  }

  async info(handle: number): Promise<BlobInfo> {
    return this.#blob(handle).info();
  }

  async clones(handle: number): Promise<readonly bigint[]> {
    return this.#blob(handle).clones();
  }

  async snapshot(handle: number, options: DerivedBlobOptions): Promise<OpenedBlob> {
    return this.#keep(await this.#blob(handle).snapshot(options));
  }

  async clone(handle: number, options: DerivedBlobOptions): Promise<OpenedBlob> {
    return this.#keep(await this.#blob(handle).clone(options));
  }

  async inflate(handle: number, followed: Followed): Promise<void> {
    await this.#callbacks.follow(followed, (options) => this.#blob(handle).inflate(options));
  }

  async decouple(handle: number, followed: Followed): Promise<void> {
    await this.#callbacks.follow(followed, (options) => this.#blob(handle).decouple(options));
  }

  async copyTo(
    handle: number,
    device: DeviceSpec,
    overwrite: boolean | undefined,
    followed: Followed,
  ): Promise<number> {
    return this.#callbacks.follow(followed, (options) => this.#blob(handle).copyTo(device, { ...options, overwrite }));
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
    await this.#blob(handle).close();
    this.#blobs.delete(handle);
  }

  /** The thread that had a row of the channel table is dead: what it had is given back. */
  async endDead(row: number): Promise<void> {
    await this.#store?.endDead(row);
  }

  async abort(call: number): Promise<void> {
    this.#callbacks.abort(call);
  }

  async seen(call: number, isRefused: boolean): Promise<void> {
    this.#callbacks.seen(call, isRefused);
  }

  async answerExternal(request: number, answer: ExternalAnswer): Promise<void> {
    this.#callbacks.answerExternal(request, answer);
  }

  get #opened(): InlineStore {
    if (this.#store !== undefined) return this.#store;
    throw new BlobstoreError('EBADF', 'the metadata worker has no store open');
  }

  async #open(
    plan: StorePlan,
    signal: AbortSignal | undefined,
    onBlob: (blob: FoundBlob) => void,
  ): Promise<InlineStore> {
    const find = (wanted: { blobId: bigint; snapshotId: Uint8Array }) => this.#callbacks.findExternal(wanted);
    const openExternalSnapshot = plan.findsExternal ? find : undefined;
    const { requestsMax, lowSpaceBytes, syncIntervalMs } = plan;
    const held = await holdShared(plan.device, plan.shareWindow); // the client has the lock
    try {
      if (plan.kind === 'create') {
        const init = { ...plan.init, openExternalSnapshot };
        return await createInline(held, { init, requestsMax, lowSpaceBytes, syncIntervalMs });
      }
      const load = { ...plan.load, openExternalSnapshot };
      return await openInline(held, {
        load,
        requestsMax,
        lowSpaceBytes,
        syncIntervalMs,
        grow: plan.grow,
        signal,
        onBlob,
      });
    } catch (error) {
      await held.release();
      throw error;
    }
  }

  #keep(blob: Blob): OpenedBlob {
    const handle = this.#nextHandle++;
    this.#blobs.set(handle, blob);
    const { slot, generation } = blob.engine;
    return { handle, id: blob.id, name: blob.name, slot, generation };
  }

  #blob(handle: number): Blob {
    const blob = this.#blobs.get(handle);
    if (blob !== undefined) return blob;
    throw new BlobstoreError('EBADF', `the metadata worker has no handle ${handle} open`);
  }
}
