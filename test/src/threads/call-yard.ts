/** Attached threads that call methods of a test's own service, which answers `later` when the test wants it to. */

import { BlobstoreError, InvariantError } from '@blobyard/core';
import { createStore, type Store, type StoreHandle } from '@blobyard/workers';
import { MemoryDevice } from 'blobyard';
import { onTestFinished } from 'vitest';
import { MailboxServer } from '../../../packages/workers/dist/mailbox/mailbox-server.js';
import type { RowService } from '../../../packages/workers/dist/mailbox/row-client.js';
import { makeStoreHandle } from '../../../packages/workers/dist/mailbox/store-handle.js';
import { Actor } from './actors.js';

/** A call of `later`, which the test answers. */
export interface HeldCall {
  readonly tag: unknown;
  answer(): void;
}

export class CallYard {
  readonly store: Store;
  readonly handle: StoreHandle;
  readonly server: MailboxServer;
  /** The calls of `later` that are not answered yet. */
  readonly held: HeldCall[] = [];
  /** The tags of all calls of `later`, in the order of their arrival. */
  readonly came: unknown[] = [];
  readonly bugs: unknown[] = [];
  /** How often the service was told to drop what the thread of a row has open. */
  dropped = 0;

  private constructor(store: Store, device: MemoryDevice) {
    const { blobstore } = store.engine;
    this.store = store;
    this.handle = makeStoreHandle(blobstore, device.spec);
    this.server = new MailboxServer(blobstore, this.handle.mailboxes, this.handle.name, {
      serviceFor: () => this.#service(),
      specOf: () => undefined,
      onBug: (error) => this.bugs.push(error),
    });
    void this.server.run();
  }

  static async open(): Promise<CallYard> {
    const device = MemoryDevice.create({ sizeBytes: 4 << 20 });
    const yard = new CallYard(await createStore({ device }), device);
    onTestFinished(async () => {
      yard.server.stop();
      await yard.store.close();
    });
    return yard;
  }

  async actor(): Promise<Actor> {
    const actor = new Actor();
    actor.row = (await actor.do('attach', this.handle)).row;
    return actor;
  }

  /** Answers all held calls of `later`. */
  answerAll(): void {
    for (const { answer } of this.held.splice(0)) answer();
  }

  #service(): RowService {
    const methods: Record<string, (given: unknown) => Promise<unknown>> = {
      echo: async (given) => given,
      big: async (bytes) => new Uint8Array(bytes as number).fill(7),
      many: async (count) =>
        Array.from({ length: count as number }, (_, at) => ({ id: BigInt(at), name: `blob ${at}` })),
      fails: async () => {
        const cause = Object.assign(new Error('the disk is gone'), { code: 'ENODEV' });
        throw new BlobstoreError('ENOSPC', 'no room: delete something', { cause });
      },
      breaks: async () => {
        throw new InvariantError('the test has one');
      },
      later: (tag) => {
        this.came.push(tag);
        return new Promise((resolve) => this.held.push({ tag, answer: () => resolve(tag) }));
      },
    };
    return {
      method: (name) => (Object.hasOwn(methods, name) ? (given) => methods[name](given) : undefined),
      open: async () => {
        throw new BlobstoreError('ENOTSUP', 'no blobs here');
      },
      close: async () => undefined,
      flush: async () => undefined,
      closeAll: async () => undefined,
      dropAll: async () => {
        this.dropped++;
      },
    };
  }
}
