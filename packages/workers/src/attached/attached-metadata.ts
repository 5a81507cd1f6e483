/** What the metadata thread answers to a thread that is attached, by its mailbox. */

import {
  BLOB,
  BlobstoreError,
  blobIdOfPage,
  type Channel,
  type MdPage,
  pageOfBlobId,
  STORE_END,
  type Waitable,
} from '@blobyard/core';
import type { BlobAddress } from '../api/store.js';
import { REQUEST } from '../mailbox/mailbox.js';
import type { MetadataPort, OpenedBlob, SyncMetadata } from '../ports/metadata-port.js';
import type { RemoteHost } from './remote-host.js';

/** Where a handle's blob is in shared memory. */
interface Place {
  readonly slot: number;
  readonly generation: number;
}

export class AttachedMetadata {
  readonly #host: RemoteHost;
  readonly #channel: Channel;
  readonly #places = new Map<number, Place>();
  #nextHandle = 1;

  constructor(host: RemoteHost, channel: Channel) {
    this.#host = host;
    this.#channel = channel;
  }

  get port(): MetadataPort {
    const refuse = async () => {
      throw new BlobstoreError('ENOTSUP', 'attached threads cannot do this: do it on the thread that opened the store');
    };
    return {
      create: refuse,
      open: async (address) => this.#open(address).promise(),
      delete: refuse,
      blobs: refuse,
      stats: refuse,
      getSuperBlob: refuse,
      setSuperBlob: refuse,
      grow: refuse,
      flush: refuse,
      dump: refuse,
      info: refuse,
      clones: refuse,
      snapshot: refuse,
      clone: refuse,
      inflate: refuse,
      decouple: refuse,
      copyTo: refuse,
      resize: refuse,
      setReadOnly: refuse,
      syncBlob: refuse,
      flushBlob: async (handle) => this.#flush(handle).promise(),
      getXattr: refuse,
      getXattrText: refuse,
      listXattrs: refuse,
      changeXattrs: refuse,
      closeHandle: async (handle) => this.#close(handle).promise(),
    };
  }

  get sync(): SyncMetadata {
    const refuse = () => {
      throw new BlobstoreError('ENOTSUP', 'attached threads cannot do this: use the promise form of this call');
    };
    return {
      open: (address) => this.#block(this.#open(address)),
      flush: refuse,
      syncBlob: refuse,
      flushBlob: (handle) => this.#block(this.#flush(handle)),
      closeHandle: (handle) => this.#block(this.#close(handle)),
    };
  }

  /** What the answer waits for may wait for this thread's operations in promise form: then that is EBUSY. */
  #block<T>(waitable: Waitable<T>): T {
    this.#channel.requireMayBlock();
    return waitable.block();
  }

  #open(address: BlobAddress): Waitable<OpenedBlob> {
    if (typeof address !== 'bigint') throw new BlobstoreError('ENOTSUP', 'attached threads open blobs by their ids');
    const page = pageOf(address);
    return mapped(this.#host.mailbox.request(REQUEST.OPEN, page), ({ first, second }) => {
      const handle = this.#nextHandle++;
      this.#places.set(handle, { slot: first, generation: second });
      return { handle, id: address, name: undefined, slot: first, generation: second };
    });
  }

  #flush(handle: number): Waitable<void> {
    const { slot, generation } = this.#place(handle);
    return mapped(this.#host.mailbox.request(REQUEST.FLUSH, slot, generation), () => undefined);
  }

  /** A blob that the store has closed needs no closing: its own close has heard of errors. */
  #close(handle: number): Waitable<void> {
    const { shared, mailbox } = this.#host;
    const { slot, generation } = this.#place(handle);
    const closing = mailbox.request(REQUEST.CLOSE, slot, generation);
    const isOver = () => shared.blobs.load(slot, BLOB.GENERATION) !== generation;
    const orClosed = (error: unknown) => {
      if (shared.end !== STORE_END.CLOSED) throw error;
    };
    return {
      async promise() {
        if (!isOver()) await closing.promise().catch(orClosed);
      },
      block() {
        if (isOver()) return;
        try {
          closing.block();
        } catch (error) {
          orClosed(error);
        }
      },
    };
  }

  #place(handle: number): Place {
    return this.#places.get(handle) as Place;
  }
}

function mapped<T, U>(waitable: Waitable<T>, map: (value: T) => U): Waitable<U> {
  return { promise: async () => map(await waitable.promise()), block: () => map(waitable.block()) };
}

function pageOf(id: bigint): MdPage {
  const page = pageOfBlobId(id);
  if (blobIdOfPage(page) === id) return page;
  throw new BlobstoreError('ENOENT', `there is no blob ${id}: no blob can have that id`);
}
