/**
 * The metadata thread's side of one row's calls: it calls methods of the row's service, and answers; see
 * `call-port.ts`. It also closes the blobs that the row's thread has open, when that thread leaves.
 */

import { BlobstoreError, InvariantError } from '@blobyard/core';
import { ClientCallbacks } from '../calls/client-callbacks.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import { type Envelope, toWire } from '../threads/wire-error.js';
import { CallPort, callChannelName, type ToMetadata, type ToRow } from './call-port.js';
import { Count } from './count.js';
import type { Mailbox } from './mailbox.js';

/** What a row's thread can call on the metadata thread, and the blobs that it has open there. One for each row. */
export interface RowService {
  /** A method by its name; undefined when there is none that rows' threads may call. */
  method(name: string): ((...given: readonly unknown[]) => Promise<unknown>) | undefined;
  /** Opens a blob; waits for its turn among the store's own operations. */
  open(id: bigint): Promise<OpenedBlob>;
  /** Closes a handle, unless the store has closed it. If that fails, the handle stays open. */
  close(handle: number): Promise<void>;
  flush(handle: number): Promise<void>;
  /** Closes all open handles. If some cannot be closed, tries all, and then throws the first error. */
  closeAll(): Promise<void>;
  /**
   * Releases all open handles without fail, for a thread that cannot get errors. What cannot be written stays dirty in
   * the store.
   */
  dropAll(): Promise<void>;
}

export interface RowNeeds {
  readonly row: number;
  readonly mailbox: Mailbox;
  /** The name in the store's handle. */
  readonly name: string;
  /** Requests and calls of the row that have not been answered. */
  readonly underWay: Count;
  /** @param callbacks - report the progress of long work to the row's thread */
  serviceFor(callbacks: ClientCallbacks): RowService;
  /** Called with a failure that is a bug in this package. */
  onBug(error: unknown): void;
}

/** Metadata thread. */
export class RowClient {
  readonly service: RowService;
  readonly #needs: RowNeeds;
  readonly #callbacks = new ClientCallbacks({ postMessage: (event) => this.#tell({ kind: 'event', event }) });
  /** Calls that have not been answered. */
  readonly #calls = new Count();
  #port: CallPort<ToRow, ToMetadata> | undefined;

  constructor(needs: RowNeeds) {
    this.#needs = needs;
    this.service = needs.serviceFor(this.#callbacks);
  }

  /** Opens this side of the messages, if it is not open yet. After that, the row's thread can post messages. */
  join(): void {
    const { name, row, mailbox } = this.#needs;
    this.#port ??= new CallPort(callChannelName(name, row), mailbox.words, mailbox.toldAt, mailbox.postedAt);
  }

  /** Takes the messages that the row's thread has posted. */
  take(): void {
    if (this.#port === undefined) return;
    for (const message of this.#port.take()) {
      if (message.kind === 'call') void this.#answer(message.id, message.name, message.given);
      else if (message.kind === 'seen') this.#callbacks.seen(message.call, message.isRefused);
      else this.#callbacks.abort(message.call);
    }
  }

  /** Long work no longer waits for the row's thread to see its progress: that thread may be blocked. */
  unpace(): void {
    this.#callbacks.unpace();
  }

  /** Aborts long work that is under way: the row's thread is dead. */
  abort(): void {
    this.#callbacks.abortAll();
  }

  /**
   * The row's thread is about to release the row: waits for its calls, and closes what it has open. Throws the first
   * error of closing; then the thread can still make calls, and leave again.
   */
  async leave(): Promise<void> {
    this.unpace();
    await this.#calls.whenZero();
    await this.service.closeAll();
    this.end();
  }

  /** Closes this side of the messages: no more are taken, and calls under way get no answer. */
  end(): void {
    this.#port?.close();
    this.#port = undefined;
  }

  async #answer(id: number, name: string, given: readonly unknown[]): Promise<void> {
    const { underWay, onBug } = this.#needs;
    underWay.add();
    this.#calls.add();
    let bug: InvariantError | undefined;
    let envelope: Envelope<unknown>;
    try {
      const method = this.service.method(name);
      if (method === undefined)
        throw new BlobstoreError(
          'ENOTSUP',
          `attached threads cannot call '${name}': call it on the thread that opened the store`,
        );
      envelope = { ok: await method.call(this.service, ...given) };
    } catch (error) {
      if (error instanceof InvariantError) bug = error;
      envelope = { error: toWire(error) };
    }
    this.#tell({ kind: 'answer', id, envelope });
    this.#calls.remove();
    underWay.remove();
    if (bug !== undefined) onBug(bug);
  }

  #tell(message: ToRow): void {
    if (this.#port === undefined) return;
    this.#port.post(message);
    Atomics.notify(this.#needs.mailbox.words, this.#needs.mailbox.toldAt);
  }
}
