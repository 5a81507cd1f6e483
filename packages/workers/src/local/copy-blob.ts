/** Copying what a blob has itself to another device. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { PAUSE, type PacedCopyOptions } from '../checks/long-work.js';
import { requireNoStore } from '../devices/existing-store.js';
import { checkDevice, holdDevice } from '../devices/open-device.js';
import type { StoreContext } from './store-context.js';

/**
 * Copies the allocated clusters of a read-only blob to a device, durably, and answers how many bytes they are. The file of a
 * device given by its spec is locked meanwhile, so that no store is overwritten that is open. Throws as `Blob.copyTo`.
 */
export async function copyBlob(
  context: StoreContext,
  id: bigint,
  target: DeviceSpec | BlockDevice,
  options: PacedCopyOptions,
): Promise<number> {
  const held = await holdDevice(checkDevice('device', target), true);
  try {
    if (held.device === context.device) {
      throw new BlobstoreError('EINVAL', `blob ${id} cannot be copied over its own store: name another device`);
    }
    if (!options.overwrite) await requireNoStore(held.device, `blob ${id} is not copied`);
    const clusters = await context.run(
      context.blobstore.shallowCopyBlob(id, held.device, context.watch(options)),
      options[PAUSE],
    );
    await flush(held.device);
    return clusters * context.clusterBytes;
  } finally {
    await held.release();
  }
}

async function flush(device: BlockDevice): Promise<void> {
  const channel = device.openChannel();
  try {
    await channel.flush();
  } finally {
    channel.close();
  }
}
