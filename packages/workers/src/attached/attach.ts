/**
 * Attaches a thread to an open store. The thread gets a channel of its own, and reads and writes blobs without the help
 * of another thread. Requests to the metadata thread go through shared memory, or by messages that the thread can
 * receive without its event loop. So `…Sync` calls also work on a thread that never returns to its event loop.
 */

import { coded } from '../api/failures.js';
import type { AttachedStore } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import { checkStoreHandle } from '../mailbox/store-handle.js';
import { AttachedFace } from './attached-face.js';
import { AttachedParts } from './attached-parts.js';
import { attachChannel } from './remote-channel.js';

/**
 * Attaches the calling thread to the store of a handle. Any thread of the process can attach, any number of times.
 * @param given - what `store.share()` returned, cloned by workerData or postMessage
 * @throws EINVAL not a handle; ENOTSUP this thread serves the store itself; EBADF the store is closed; EIO the store
 * has failed, or its metadata thread is dead; ENOMEM all `CHANNELS_MAX` (256) channels of the store are in use; and the
 * errors of opening the device.
 */
export async function attach(given: StoreHandle): Promise<AttachedStore> {
  try {
    const handle = checkStoreHandle(given);
    return new AttachedFace(new AttachedParts(handle, await attachChannel(handle)));
  } catch (error) {
    throw coded(error, 'attach to a store');
  }
}
