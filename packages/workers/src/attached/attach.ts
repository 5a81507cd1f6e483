/**
 * Attaching a thread to an open store: it gets a channel of its own, and reads and writes blobs right there. All of it goes
 * through shared memory, so that a thread that never returns to its event loop can do it, and that attaching needs nothing but
 * a handle that was cloned.
 */

import type { AttachedStore } from '../api/attached-store.js';
import { coded } from '../api/failures.js';
import type { StoreHandle } from '../api/store-handle.js';
import { checkStoreHandle } from '../mailbox/store-handle.js';
import { AttachedFace } from './attached-face.js';
import { AttachedParts } from './attached-parts.js';
import { attachChannel } from './remote-channel.js';

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
