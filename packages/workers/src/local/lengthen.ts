/** Makes the device of a store longer, so that the store can grow. */

import { type Blobstore, BlobstoreError, noRoomToGrow } from '@blobyard/core';
import { isResizable } from '@blobyard/io';

/**
 * Makes the device of a store at least `sizeBytes` long, rounded up to whole blocks. Metadata thread; one call at a time.
 * @throws ENOSPC the store cannot grow so far, or the file system is full; ENOTSUP the device has a fixed size; EINVAL it
 * cannot have that size
 */
export async function lengthen({ device, growLimitBytes }: Blobstore, sizeBytes: number): Promise<void> {
  await device.refresh?.();
  const blockCount = Math.ceil(sizeBytes / device.blockLengthBytes);
  if (blockCount <= device.blockCount) return;
  if (sizeBytes > growLimitBytes) throw noRoomToGrow(sizeBytes, growLimitBytes);
  if (!isResizable(device)) {
    const advice = 'make it longer yourself if you can, and call grow without sizeBytes';
    throw new BlobstoreError('ENOTSUP', `the device of the store cannot be resized: ${advice}`);
  }
  await device.resize(blockCount);
}
