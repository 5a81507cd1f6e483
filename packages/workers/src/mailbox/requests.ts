/**
 * Executes the requests of mailboxes on the metadata thread. Insertions are executed in batches, in
 * `mailbox-server.ts`.
 */

import {
  type BlobCluster,
  BlobstoreError,
  type BlockDevice,
  blobIdOfPage,
  type ClaimedCluster,
  ClaimLog,
  type DeviceCluster,
  type InlinePort,
  InvariantError,
  type MdPage,
  run,
  type SharedStore,
} from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { ClientCallbacks } from '../calls/client-callbacks.js';
import { sendSpec } from './external-specs.js';
import { NO_ENTRY, REQUEST } from './mailbox.js';
import type { Row } from './row.js';
import type { RowClient, RowService } from './row-client.js';

/** What the mailboxes need from their store. */
export interface MailboxHooks {
  /** The service for one row, whose thread opens blobs and calls methods. @param callbacks - report long work to it */
  serviceFor(callbacks: ClientCallbacks): RowService;
  /**
   * The spec by which other threads can open a device that the metadata thread has open; undefined if there is none.
   */
  specOf(device: BlockDevice): DeviceSpec | undefined;
  /** Called with a failure that is a bug in this package. */
  onBug(error: unknown): void;
}

/** The row that a request comes from. */
export interface Asker {
  /** The number of the row. */
  readonly number: number;
  readonly row: Row;
  /** The row's open blobs and calls; created on first use. */
  client(): RowClient;
}

/** Up to three results, and a text. */
export type Answer = readonly [first: number, second?: number, third?: number, text?: string];

const NOTHING: Answer = [0];
const RELEASE_ANSWERS = { done: 0, frozen: 1, locked: 2 } as const;

/** Metadata thread. */
export class Requests {
  readonly #shared: SharedStore;
  readonly #metadata: InlinePort;
  readonly #name: string;
  readonly #hooks: MailboxHooks;

  /** @param name - the store's name, part of the names of the rows' broadcast channels */
  constructor(shared: SharedStore, metadata: InlinePort, name: string, hooks: MailboxHooks) {
    this.#shared = shared;
    this.#metadata = metadata;
    this.#name = name;
    this.#hooks = hooks;
  }

  /**
   * Executes a request other than an insertion. Throws the request's error; an `InvariantError` for an unknown request.
   */
  async execute({ number, row, client }: Asker, op: number, given: readonly number[]): Promise<Answer> {
    const metadata = this.#metadata;
    const [first, second, third, fourth, fifth] = given;
    switch (op) {
      case REQUEST.RAISE_HIGH_WATER:
        await run(metadata.raiseHighWater(first));
        return NOTHING;
      case REQUEST.DISCARD: {
        const claimed = { cluster: second as DeviceCluster, extentPage: third as MdPage, entry: fourth };
        await run(metadata.discardCluster(first, claimed, fifth !== 0));
        this.forget(number, claimed);
        return NOTHING;
      }
      case REQUEST.RELEASE: {
        const ref = { slot: first, generation: second | 0 };
        return [RELEASE_ANSWERS[await run(metadata.releaseCluster(ref, third as BlobCluster))]];
      }
      case REQUEST.RECLAIM:
        return [(await run(metadata.reclaim())) ? 1 : 0];
      case REQUEST.OPEN: {
        const opened = await client().service.open(blobIdOfPage(first as MdPage));
        return [opened.slot, opened.generation, opened.handle, opened.name ?? ''];
      }
      case REQUEST.CLOSE:
        await row.client?.service.close(first);
        return NOTHING;
      case REQUEST.FLUSH:
        await client().service.flush(first);
        return NOTHING;
      case REQUEST.EXTERNAL:
        return [this.#broadcastExternal(number, first) ? 1 : 0];
      case REQUEST.LEAVE:
        await row.client?.leave();
        row.client = undefined;
        return NOTHING;
      case REQUEST.JOIN:
        client().join();
        return NOTHING;
      default:
        throw new InvariantError(`a mailbox holds the unknown request ${op}`);
    }
  }

  /** Removes a claim from a row's claim log: the cluster now belongs to the blob, or was given back. */
  forget(row: number, claimed: ClaimedCluster): void {
    if (claimed.entry === undefined || claimed.entry === NO_ENTRY) return;
    new ClaimLog(this.#shared.buffers.claims, row).forget(claimed.entry);
  }

  /**
   * Sends a row's thread the spec of the device behind an external clone, before the request is answered. Returns false
   * if there is no such device.
   */
  #broadcastExternal(row: number, slot: number): boolean {
    const device = this.#metadata.externalDevice(slot);
    if (device === undefined) return false;
    const spec = this.#hooks.specOf(device);
    if (spec === undefined) {
      const advice = "give it as a spec of kind 'memory', 'file' or 'custom'";
      throw new BlobstoreError(
        'ENOTSUP',
        `the device of the external snapshot can be used on one thread only: ${advice}`,
      );
    }
    sendSpec(this.#name, row, { slot, spec });
    return true;
  }
}
