/** What the metadata thread does for the requests of mailboxes, but for insertions, which it takes together (`mailbox-server.ts`). */

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

/** What the mailboxes need of the store around them. */
export interface MailboxHooks {
  /** Serves one row: its thread opens blobs and calls methods. @param callbacks - by which it follows long work */
  serviceFor(callbacks: ClientCallbacks): RowService;
  /** The spec by which other threads open a device that the metadata thread has opened. */
  specOf(device: BlockDevice): DeviceSpec | undefined;
  /** A failure that is a bug of ours. */
  onBug(error: unknown): void;
}

/** Who asks. */
export interface Asker {
  /** The number of the row. */
  readonly number: number;
  readonly row: Row;
  /** What its thread has open, and calls. */
  client(): RowClient;
}

/** Results, and a text. */
export type Answer = readonly [first: number, second?: number, third?: number, text?: string];

const NOTHING: Answer = [0];
const RELEASE_ANSWERS = { done: 0, frozen: 1, locked: 2 } as const;

export class Requests {
  readonly #shared: SharedStore;
  readonly #metadata: InlinePort;
  readonly #name: string;
  readonly #hooks: MailboxHooks;

  /** @param name - of the broadcast channels to the rows' threads */
  constructor(shared: SharedStore, metadata: InlinePort, name: string, hooks: MailboxHooks) {
    this.#shared = shared;
    this.#metadata = metadata;
    this.#name = name;
    this.#hooks = hooks;
  }

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
        throw new InvariantError(`a mailbox holds request ${op}, which there is not`);
    }
  }

  /** A claim of a row is the blob's now, or is given back. */
  forget(row: number, claimed: ClaimedCluster): void {
    if (claimed.entry === undefined || claimed.entry === NO_ENTRY) return;
    new ClaimLog(this.#shared.buffers.claims, row).forget(claimed.entry);
  }

  /** Sends a row's thread the spec of what is behind an external clone; it takes it before it looks at the answer. */
  #broadcastExternal(row: number, slot: number): boolean {
    const device = this.#metadata.externalDevice(slot);
    if (device === undefined) return false;
    const spec = this.#hooks.specOf(device);
    if (spec === undefined) {
      const advice = "give it as a spec of kind 'memory', 'file' or 'custom'";
      throw new BlobstoreError('ENOTSUP', `the external snapshot can be read on one thread only: ${advice}`);
    }
    sendSpec(this.#name, row, { slot, spec });
    return true;
  }
}
