/** A channel on another thread than the metadata thread: how it comes to be one, and how it says goodbye. */

import { threadId } from 'node:worker_threads';
import { BlobstoreError, type BlockDevice, Channel, ChannelTable, run, type Steps, waitFor } from '@blobyard/core';
import { REQUEST } from './mailbox.js';
import { RemoteHost } from './remote-host.js';
import type { StoreHandle } from './store-handle.js';
import { thisThread } from './thread-life.js';

export interface RemoteChannel {
  readonly host: RemoteHost;
  readonly channel: Channel;
}

/**
 * A channel of the calling thread's own. ENOMEM when the store has as many channels as it can, EBADF and EIO when it has ended: that
 * is looked at when the row and the share are noted, for who ends a store looks at these after he has said so.
 *
 * @param device - the store's, as this thread has it open
 * @param share - the descriptor by which the thread has a share of the lock on the store's file
 */
export function openRemoteChannel(handle: StoreHandle, device: BlockDevice, share?: number): RemoteChannel {
  const table = new ChannelTable(handle.buffers.channels);
  const row = table.claim(threadId);
  let host: RemoteHost | undefined;
  try {
    table.setThread(row, thisThread());
    if (share !== undefined) table.setShare(row, share);
    host = new RemoteHost(handle, device, row);
    host.shared.requireAlive();
    return { host, channel: new Channel(host) };
  } catch (error) {
    void host?.close();
    table.release(row);
    throw error;
  }
}

/** Closes a channel, which waits for what is under way in it. The device stays open. */
export async function closeRemoteChannel({ host, channel }: RemoteChannel): Promise<void> {
  await run(unlessEnded(() => waitFor(host.mailbox.request(REQUEST.LEAVE))));
  await run(channel.close());
  await host.close();
}

/** With a store that has ended meanwhile there is nothing left to be done. */
export function* unlessEnded(request: () => Steps<unknown>): Steps<void> {
  try {
    yield* request();
  } catch (error) {
    if (!(error instanceof BlobstoreError && (error.code === 'EBADF' || error.code === 'EIO'))) throw error;
  }
}
