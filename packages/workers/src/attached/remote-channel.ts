/** A channel on another thread than the metadata thread: how it comes to be one, and how it says goodbye. */

import { threadId } from 'node:worker_threads';
import { BlobstoreError, type BlockDevice, Channel, ChannelTable, run, SharedStore, STORE_END } from '@blobyard/core';
import type { StoreHandle } from '../api/store-handle.js';
import { openShared } from '../devices/shared-device.js';
import { REQUEST } from '../mailbox/mailbox.js';
import { servedHere } from '../mailbox/store-handle.js';
import { thisThread } from '../threads/thread-life.js';
import { RemoteHost } from './remote-host.js';

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
    const channel = new Channel(host);
    host.channel = channel;
    return { host, channel };
  } catch (error) {
    void host?.close();
    table.release(row);
    throw error;
  }
}

/** A channel of the calling thread's own, on a device of its own. Throws as `attach`. */
export async function attachChannel(handle: StoreHandle): Promise<RemoteChannel> {
  requireElsewhere(handle);
  new SharedStore(handle.buffers, 0).requireAlive(); // says it better than a file that is gone
  const { device, share } = await openShared(handle.device, handle.shareWindow);
  try {
    return openRemoteChannel(handle, device, share);
  } catch (error) {
    await device.close();
    throw error;
  }
}

/** A thread that stops for an answer which it has to give itself would stop for ever. */
function requireElsewhere({ name }: StoreHandle): void {
  if (!servedHere.has(name)) return;
  const advice = 'use the store itself here, and attach to it from other threads';
  throw new BlobstoreError('ENOTSUP', `this thread has the store open, and serves it to others: ${advice}`);
}

/**
 * Closes a channel, which waits for what is under way in it. The device stays open. Throws, and then the channel is as it was, what
 * closing the blobs throws that the thread has still open.
 */
export async function closeRemoteChannel(remote: RemoteChannel): Promise<void> {
  await leaveStore(remote.host);
  await endRemoteChannel(remote);
}

/** Gives what a channel's thread has open back to the store. With a store that has ended there is nothing to be given back. */
export async function leaveStore({ mailbox, shared }: RemoteHost): Promise<void> {
  try {
    await mailbox.request(REQUEST.LEAVE).promise();
  } catch (error) {
    if (shared.end === STORE_END.OPEN) throw error;
  }
}

/** The rest of closing a channel; from here on its row can be another thread's. Where the device fails a second call goes on. */
export async function endRemoteChannel({ host, channel }: RemoteChannel): Promise<void> {
  await run(channel.close());
  await host.close();
}
