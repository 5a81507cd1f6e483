/**
 * The parts of a store on an attached thread. The metadata thread does the metadata operations; this thread transfers
 * data by a channel of its own.
 */

import { STORE_END } from '@blobyard/core';
import type { Damage } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { operationTurns } from '../data/loop-turns.js';
import { ownChannelPort } from '../data/own-channel.js';
import { damagedIn } from '../mailbox/store-handle.js';
import type { StoreEnding, StoreParts } from '../ports/store-parts.js';
import { KeepAlive } from '../threads/keep-alive.js';
import { AttachedMetadata } from './attached-metadata.js';
import { endRemoteChannel, leaveStore, type RemoteChannel } from './remote-channel.js';
import type { RemoteHost } from './remote-host.js';

export class AttachedParts implements StoreParts {
  readonly title = 'the store that this thread had attached to';
  readonly metadata: StoreParts['metadata'];
  readonly sync: StoreParts['sync'];
  readonly data: StoreParts['data'];
  readonly shared: StoreParts['shared'];
  readonly geometry: StoreParts['geometry'];
  readonly device: StoreParts['device'];
  readonly damaged: readonly Damage[];
  readonly isReadOnly: boolean;
  readonly engine = undefined;
  readonly channel = () => this.remote.channel;
  readonly noEvents = 'an attached thread gets no events: listen on the thread that opened the store';
  readonly busy = new KeepAlive();
  readonly turns = operationTurns;
  readonly nameOf = undefined;
  readonly remote: RemoteChannel;
  readonly #handle: StoreHandle;
  /** The metadata thread has closed what this thread had open. */
  #hasLeft = false;
  #state: StoreParts['state'] = 'open';

  /** @param remote - owned by the store from now on */
  constructor(handle: StoreHandle, remote: RemoteChannel) {
    const { host, channel } = remote;
    const { shared, geometry, device } = host;
    const metadata = new AttachedMetadata(host);
    const port = metadata.port;
    this.#handle = handle;
    this.remote = remote;
    this.shared = shared;
    this.geometry = geometry;
    this.device = device;
    this.damaged = damagedIn(handle);
    this.isReadOnly = handle.isReadOnly;
    this.sync = metadata.sync;
    this.metadata = {
      ...port,
      closeHandle: async (number) => {
        if (this.#state !== 'ended') await port.closeHandle(number);
      },
    };
    const { synchronous: isSynchronous } = device;
    // A promise-form call must not block this thread to wait for another one. So `isAtOnce` is false on any device.
    this.data = ownChannelPort(channel, geometry, { requestsMax: host.channelOpsMax, isSynchronous, isAtOnce: false });
    leaveAtExit(host);
    host.life.watch();
  }

  get underWay(): Readonly<Record<'operations' | 'frozen' | 'requests', number>> {
    const { host, channel } = this.remote;
    return { operations: channel.outstanding, frozen: channel.frozenDepth, requests: host.mailbox.underWay };
  }

  get state(): StoreParts['state'] {
    return this.#state;
  }

  listen(): void {
    // See `noEvents`.
  }

  share(): StoreHandle {
    return this.#handle;
  }

  beginEnd(): void {
    // Nothing to do: all work under way is this thread's own.
  }

  /** Leaves the store. If handles could not be closed the thread stays attached, unless the store has ended. */
  async end(_: StoreEnding, failure: { readonly error: unknown } | undefined): Promise<void> {
    this.#state = 'ending';
    if (failure && this.shared.end === STORE_END.OPEN) throw failure.error;
    await this.#letGo();
    this.#state = 'ended';
    if (failure) throw failure.error; // the store has failed: acknowledged writes may be lost
  }

  async #letGo(): Promise<void> {
    const { host } = this.remote;
    if (!this.#hasLeft) await leaveStore(host);
    this.#hasLeft = true;
    stayAtExit(host);
    await endRemoteChannel(this.remote);
    await host.device.close();
    this.busy.close();
  }
}

/** The hosts of this thread's channels. When the thread ends, their rows are marked as leaving. */
const attached = new Set<RemoteHost>();

function leaveAtExit(host: RemoteHost): void {
  if (attached.size === 0) process.on('exit', leaveAll);
  attached.add(host);
}

function stayAtExit(host: RemoteHost): void {
  attached.delete(host);
  if (attached.size === 0) process.removeListener('exit', leaveAll);
}

/** Marks the rows as leaving: the thread ends without detaching. */
function leaveAll(): void {
  for (const { shared, row, mailbox } of attached) {
    shared.channels.setLeaving(row);
    mailbox.poke();
  }
}
