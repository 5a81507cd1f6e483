/**
 * The metadata thread's side of one row's calls: it calls methods of the row's service, and answers; see `call-port.ts`. It also
 * lets go of what the row's thread has open, when that leaves or is dead.
 */

import { BlobstoreError, InvariantError } from '@blobyard/core';
import { ClientCallbacks } from '../calls/client-callbacks.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import { type Envelope, toWire } from '../threads/wire-error.js';
import { CallPort, callChannelName, type ToMetadata, type ToRow } from './call-port.js';
import { Count } from './count.js';
import type { Mailbox } from './mailbox.js';

/** What the thread of a row can have done on the metadata thread, and what it has open there. One for each row. */
export interface RowService {
  /** A method by its name; undefined when there is none, or threads of rows may not call it. */
  method(name: string): ((...given: readonly unknown[]) => Promise<unknown>) | undefined;
  /** Opens a blob, in turn with the store's own operations. */
  open(id: bigint): Promise<OpenedBlob>;
  /** Closes a handle, unless the store has closed it. When it fails, the handle is open still. */
  close(handle: number): Promise<void>;
  flush(handle: number): Promise<void>;
  /** Closes all that is open; each, whether others fail or not. Throws the first error. */
  closeAll(): Promise<void>;
  /** Gives all back that is open whatever happens, of a thread that hears of no error: what fails is the store's to hear of. */
  dropAll(): Promise<void>;
}

export interface RowNeeds {
  readonly row: number;
  readonly mailbox: Mailbox;
  /** The store's, of its handle. */
  readonly name: string;
  /** Requests and calls of the row that have not been answered. */
  readonly underWay: Count;
  /** @param callbacks - by which the service lets long work be followed */
  serviceFor(callbacks: ClientCallbacks): RowService;
  /** A failure that is a bug of ours. */
  onBug(error: unknown): void;
}

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

  /** Opens this side of the messages. Once it has, the row's thread can post them; twice is once. */
  join(): void {
    const { name, row, mailbox } = this.#needs;
    this.#port ??= new CallPort(callChannelName(name, row), mailbox.words, mailbox.toldAt, mailbox.postedAt);
  }

  /** Takes what the row's thread has posted. */
  take(): void {
    if (this.#port === undefined) return;
    for (const message of this.#port.take()) {
      if (message.kind === 'call') void this.#answer(message.id, message.name, message.given);
      else if (message.kind === 'seen') this.#callbacks.seen(message.call, message.isRefused);
      else this.#callbacks.abort(message.call);
    }
  }

  /** Long work that is under way waits no more for the row's thread, which may stand still, to see how far it is. */
  unpace(): void {
    this.#callbacks.unpace();
  }

  /** Ends long work that is under way: the row's thread is gone. */
  abort(): void {
    this.#callbacks.abortAll();
  }

  /**
   * The row's thread is about to give the row back: its calls end, and what it has open is closed. Throws the first error of that, and
   * then it can call, and leave, once more.
   */
  async leave(): Promise<void> {
    this.unpace();
    await this.#calls.whenZero();
    await this.service.closeAll();
    this.end();
  }

  /** Takes no more messages, and answers none. */
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
      if (method === undefined) throw new BlobstoreError('ENOTSUP', `attached threads cannot call '${name}'`);
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
