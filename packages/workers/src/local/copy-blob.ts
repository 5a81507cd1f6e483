/** Copies a blob to another device. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { isSameMedium } from '@blobyard/io/internal/same-medium';
import { PAUSE, type PacedCopyOptions } from '../checks/long-work.js';
import { requireNoStore } from '../devices/existing-store.js';
import { checkDevice, holdDevice } from '../devices/open-device.js';
import type { StoreContext } from './store-context.js';

/**
 * Copies a read-only blob to a device, flushes the device, and returns the number of bytes
 * copied. If the device is given by a spec its file is locked meanwhile, so that no open store is overwritten. Throws
 * as `Blob.copyTo`.
 */
export async function copyBlob(
  context: StoreContext,
  id: bigint,
  target: DeviceSpec | BlockDevice,
  options: PacedCopyOptions,
): Promise<number> {
  const held = await holdDevice(checkDevice('device', target), 'exclusive', 'new');
  try {
    if (isSameMedium(held.device, context.device)) {
      throw new BlobstoreError('EINVAL', `blob ${id} cannot be copied over its own store: name another device`);
    }
    if (!options.overwrite) await requireNoStore(held.device, `blob ${id} is not copied`);
    const { blobstore, channel } = context;
    const watched = context.watch(options);
    const copy = options.own
      ? blobstore.shallowCopyBlob(id, held.device, watched)
      : blobstore.copyBlob(channel, id, held.device, isNew(target), watched);
    const clusters = await context.run(copy, options[PAUSE]);
    await flush(held.device);
    return clusters * context.clusterBytes;
  } finally {
    await held.release();
  }
}

/** True for a device that is made by its spec, and so reads as zeroes. */
function isNew(target: DeviceSpec | BlockDevice): boolean {
  return 'kind' in target && target.kind === 'file' && target.create === true;
}

async function flush(device: BlockDevice): Promise<void> {
  const channel = device.openChannel();
  try {
    await channel.flush();
  } finally {
    channel.close();
  }
}
