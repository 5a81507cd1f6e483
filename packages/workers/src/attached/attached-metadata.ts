/**
 * The metadata port of an attached thread. Most operations are calls by messages. Frequent ones (opening a blob by its
 * id, flushing and closing it) are requests in the mailbox, which are faster.
 */

import {
  BLOB,
  BlobstoreError,
  blobIdOfPage,
  type MdPage,
  pageOfBlobId,
  STORE_END,
  type Waitable,
} from '@blobyard/core';
import type { BlobAddress, OpenBlobOptions } from '../api/store.js';
import { metadataByCalls } from '../calls/metadata-calls.js';
import { REQUEST } from '../mailbox/mailbox.js';
import type { MailboxAnswer } from '../mailbox/mailbox-client.js';
import type { MetadataPort, OpenedBlob, SyncMetadata } from '../ports/metadata-port.js';
import type { RemoteHost } from './remote-host.js';

export class AttachedMetadata {
  /** The requests in promise form. */
  readonly port: MetadataPort;
  /**
   * The requests that block this thread. They throw EBUSY if that could be a deadlock: the metadata thread may have to
   * wait for promise-form operations of this thread.
   */
  readonly sync: SyncMetadata;
  readonly #host: RemoteHost;
  /** The open blobs, by handle; for their slots and generations. */
  readonly #opened = new Map<number, OpenedBlob>();

  constructor(host: RemoteHost) {
    this.#host = host;
    const keep = async (opening: Promise<OpenedBlob>) => this.#keep(await opening);
    const byCalls = metadataByCalls({
      call: (name, ...given) => host.calls.call(name, ...given).promise(),
      follow: (options, begin) => host.calls.follow(options, begin),
    });
    this.port = {
      ...byCalls,
      create: (blob) => keep(byCalls.create(blob)),
      snapshot: (handle, xattrs) => keep(byCalls.snapshot(handle, xattrs)),
      snapshotAll: async (handles, xattrs) =>
        (await byCalls.snapshotAll(handles, xattrs)).map((each) => this.#keep(each)),
      clone: (handle, xattrs) => keep(byCalls.clone(handle, xattrs)),
      open: async (address, options) => this.#keep(await this.#open(address, options).promise()),
      flushBlob: (handle) => this.#flush(handle).promise(),
      closeHandle: (handle) => this.#close(handle).promise(),
    };
    this.sync = {
      open: (address, options) => this.#keep(this.#block(this.#open(address, options))),
      flush: () => this.#block(host.calls.call('flush')),
      syncBlob: (handle) => this.#block(host.calls.call('syncBlob', handle)),
      flushBlob: (handle) => this.#block(this.#flush(handle)),
      closeHandle: (handle) => this.#block(this.#close(handle)),
    };
  }

  #block<T>(waitable: Waitable<T>): T {
    this.#host.requireMayBlock();
    return waitable.block();
  }

  #keep(opened: OpenedBlob): OpenedBlob {
    this.#opened.set(opened.handle, opened);
    return opened;
  }

  #open(address: BlobAddress, options: OpenBlobOptions): Waitable<OpenedBlob> {
    const { calls, mailbox } = this.#host;
    if (typeof address !== 'bigint' || options.clearMethod !== undefined) return calls.call('open', address, options);
    const opening = mailbox.request(REQUEST.OPEN, pageOf(address));
    return {
      async promise() {
        const answer = await opening.promise();
        return openedBlob(address, answer, answer.text ?? (await calls.call('info', answer.third).promise()).name);
      },
      block() {
        const answer = opening.block();
        return openedBlob(address, answer, answer.text ?? calls.call('info', answer.third).block().name);
      },
    };
  }

  #flush(handle: number): Waitable<void> {
    const flushing = this.#host.mailbox.request(REQUEST.FLUSH, handle);
    return {
      async promise() {
        await flushing.promise();
      },
      block() {
        flushing.block();
      },
    };
  }

  /**
   * Closes a handle. Does nothing if the store has closed the blob already: then the `close` of the store has reported
   * the errors.
   */
  #close(handle: number): Waitable<void> {
    const { shared, mailbox } = this.#host;
    const closing = mailbox.request(REQUEST.CLOSE, handle);
    const opened = this.#opened.get(handle);
    const isOver = () => opened === undefined || shared.blobs.load(opened.slot, BLOB.GENERATION) !== opened.generation;
    const end = (error?: unknown) => {
      if (error !== undefined && shared.end !== STORE_END.CLOSED) throw error;
      this.#opened.delete(handle);
    };
    return {
      promise: async () => (isOver() ? end() : closing.promise().then(() => end(), end)),
      block: () => {
        try {
          if (!isOver()) closing.block();
        } catch (error) {
          return end(error);
        }
        end();
      },
    };
  }
}

function openedBlob(id: bigint, { first, second, third }: MailboxAnswer, name: string | undefined): OpenedBlob {
  return { handle: third, id, name: name === '' ? undefined : name, slot: first, generation: second };
}

function pageOf(id: bigint): MdPage {
  const page = pageOfBlobId(id);
  if (blobIdOfPage(page) === id) return page;
  throw new BlobstoreError(
    'ENOENT',
    `there is no blob ${id}: no blob can have that id; blobs() lists those that are there`,
  );
}
