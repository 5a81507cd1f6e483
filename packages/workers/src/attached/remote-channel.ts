/** Opens and closes channels on threads other than the metadata thread. */

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
 * Opens a channel of the calling thread. Throws ENOMEM if the store has no free row for another channel, EBADF or EIO
 * if the store has ended.
 *
 * The race with the end of the store: this thread stores its row and share, and then checks for the end. The thread
 * that ends the store marks the end, and then reads rows and shares. So at least one of the two sees what the other
 * wrote.
 *
 * @param device - the store's device, open on this thread
 * @param share - the descriptor of the thread's share of the lock on the store's file
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

/** Opens the store's device and a channel of the calling thread. Throws the same errors as `attach`. */
export async function attachChannel(handle: StoreHandle): Promise<RemoteChannel> {
  requireElsewhere(handle);
  // Before the device is opened: if its file is gone, too, this error is clearer.
  new SharedStore(handle.buffers, 0).requireAlive();
  const { device, share } = await openShared(handle.device, handle.shareWindow);
  try {
    return openRemoteChannel(handle, device, share);
  } catch (error) {
    await device.close();
    throw error;
  }
}

/**
 * Throws ENOTSUP on the thread that serves the store. A synchronous call there would be a deadlock: it would block the
 * only thread that can answer it.
 */
function requireElsewhere({ name }: StoreHandle): void {
  if (!servedHere.has(name)) return;
  const advice = 'use the store itself here, and attach to it from other threads';
  throw new BlobstoreError('ENOTSUP', `this thread has the store open, and serves it to others: ${advice}`);
}

/**
 * Closes a channel, and waits for what is under way in it. The device stays open. First closes the blobs that the
 * thread still has open; if that fails, throws its error, and the channel stays open.
 */
export async function closeRemoteChannel(remote: RemoteChannel): Promise<void> {
  await leaveStore(remote.host);
  await endRemoteChannel(remote);
}

/** Asks the metadata thread to close the blobs that this thread has open. Ignores errors once the store has ended. */
export async function leaveStore({ mailbox, shared }: RemoteHost): Promise<void> {
  try {
    await mailbox.request(REQUEST.LEAVE).promise();
  } catch (error) {
    if (shared.end === STORE_END.OPEN) throw error;
  }
}

/** The second part of closing a channel. It releases the row. If the device fails, a second call continues. */
export async function endRemoteChannel({ host, channel }: RemoteChannel): Promise<void> {
  await run(channel.close());
  await host.close();
}
