/** Opens the device of a store on one more thread: the same file, with a share of its lock. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { type DeviceSpec, FileDevice, openDevice } from '@blobyard/io';
import { takeStoreShare } from '@blobyard/io/internal/store-share';

/** The device of a store, as opened by one of its threads. */
export interface SharedDevice {
  readonly device: BlockDevice;
  /** The file descriptor through which the thread holds its share of the lock. Undefined if there is no lock. */
  readonly share: number | undefined;
}

/**
 * Opens a store's device on one more thread, and takes the thread's share of the lock on its file.
 *
 * @param shareWindow - that of the store's lock. Undefined if the thread that opened the store has no lock
 * @throws EIO the thread that opened the store has ended; and the errors of opening the device.
 */
export async function openShared(spec: DeviceSpec, shareWindow: number | undefined): Promise<SharedDevice> {
  const device = await openDevice(spec);
  if (shareWindow === undefined) return { device, share: undefined };
  try {
    if (!(device instanceof FileDevice))
      throw new BlobstoreError(
        'EINVAL',
        `${device.constructor.name} has no lock to share: the handle must name a file`,
      );
    takeStoreShare(device, shareWindow);
    return { device, share: device.descriptor };
  } catch (error) {
    await device.close();
    throw error;
  }
}
