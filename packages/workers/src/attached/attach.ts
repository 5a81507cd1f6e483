/**
 * Attaching a thread to an open store: it gets a channel of its own, and reads and writes blobs right there. All of it goes
 * through shared memory, so that a thread that never returns to its event loop can do it, and that attaching needs nothing but
 * a handle that was cloned.
 */

import { BlobstoreError, SharedStore } from '@blobyard/core';
import type { AttachedStore } from '../api/attached-store.js';
import { coded } from '../api/failures.js';
import type { StoreHandle } from '../api/store-handle.js';
import { openShared } from '../devices/shared-device.js';
import { checkStoreHandle, servedHere } from '../mailbox/store-handle.js';
import { AttachedFace } from './attached-face.js';
import { AttachedParts } from './attached-parts.js';
import { openRemoteChannel, type RemoteChannel } from './remote-channel.js';

/**
 * Attaches the calling thread to the store that a handle is of. Any thread of the process, as often as it likes.
 * @param given - what `store.share()` answered, cloned by workerData or postMessage
 * @throws EINVAL no such handle, ENOTSUP this is the thread that serves the store, EBADF the store is closed, EIO it has
 * failed, or lost its opener; ENOMEM it has as many channels as it can; and what opening the device throws.
 */
export async function attach(given: StoreHandle): Promise<AttachedStore> {
  try {
    const handle = checkStoreHandle(given);
    return new AttachedFace(new AttachedParts(handle, await attachChannel(handle)));
  } catch (error) {
    throw coded(error, 'attach to a store');
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
