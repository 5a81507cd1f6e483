/** External snapshots: devices outside the store, which are the parents of external clones. */

import { type Blob, INTERNAL_XATTR } from '../blob/blob.js';
import type { BlockDevice } from '../device/block-device.js';
import { BLOB } from '../shared/layout.js';
import type { ExternalSnapshotRequest, OpenExternalSnapshot, StoreState } from '../state/store-state.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError, ExternalSnapshotError, toBlobstoreError, UnavailableBlobError } from '../units/error.js';
import { EXTERNAL_SNAPSHOT_ID } from '../units/units.js';
import { withBlobLocked } from './blob-lock.js';
import { frozen } from './freeze.js';

/**
 * Opens the external snapshot of an external clone, through the user's callback.
 * @throws ENOTSUP when the store was opened without a callback, EINVAL when the device's blocks do not fit, or what the
 * callback threw
 */
export function* openExternalBacking(store: StoreState, blob: Blob): Steps<void> {
  if (!store.openExternal) {
    const reason = 'is a clone of an external snapshot, and the store was opened without `openExternalSnapshot`';
    throw new UnavailableBlobError('ENOTSUP', `blob ${blob.id} ${reason}`);
  }
  const request = {
    blobId: blob.id,
    snapshotId: requireExternalId(blob).slice(),
    storeContext: store.externalContext,
    blobContext: blob.externalContext,
  };
  const device = yield* callBack(store.openExternal, request);
  blob.parentId = EXTERNAL_SNAPSHOT_ID;
  if (device === null) return;
  try {
    requireFittingBlocks(store, blob, device);
  } catch (error) {
    yield* wait(device.close());
    const { code, message } = error as BlobstoreError;
    throw new ExternalSnapshotError(code, message);
  }
  blob.back = { kind: 'external', device };
}

/** Returns the id of a blob's external snapshot. EINVAL when the blob's metadata has none. */
export function requireExternalId(blob: Blob): Uint8Array {
  const snapshotId = blob.internalXattrs.get(INTERNAL_XATTR.EXTERNAL_SNAPSHOT);
  if (snapshotId) return snapshotId;
  throw new BlobstoreError('EINVAL', `blob ${blob.id} is damaged: it does not say which external snapshot it has`);
}

function* callBack(open: OpenExternalSnapshot, request: ExternalSnapshotRequest): Steps<BlockDevice | null> {
  try {
    return yield* wait(open(request));
  } catch (cause) {
    const { code, message } = toBlobstoreError(
      cause,
      `the external snapshot of blob ${request.blobId} cannot be opened`,
    );
    throw new ExternalSnapshotError(code, message, { cause });
  }
}

/**
 * Replaces the device of an open external clone; the old device is closed.
 * @throws EINVAL the blob is no external clone, or the blocks do not fit; EBUSY another operation is running on it
 */
export function* setExternalDevice(store: StoreState, blob: Blob, device: BlockDevice): Steps<void> {
  if (!blob.isExternalClone) throw new BlobstoreError('EINVAL', `blob ${blob.id} is no clone of an external snapshot`);
  requireFittingBlocks(store, blob, device);
  yield* withBlobLocked(store, blob, 'change the external snapshot of', () =>
    frozen(store, blob, function* () {
      closeExternalChannels(store, blob);
      if (blob.back?.kind === 'external') yield* wait(blob.back.device.close());
      blob.back = { kind: 'external', device };
      blob.publish();
    }),
  );
}

/** Closes the channels to the external device of a blob; they are opened again when needed. */
export function closeExternalChannels(store: StoreState, blob: Blob): void {
  store.shared.blobs.add(blob.slot, BLOB.EXTERNAL_EPOCH, 1); // channels on other threads check it
  for (const channel of store.channels) channel.closeExternal(blob.slot);
}

/** True when the store's device, or the external device behind the blob, is degraded. */
export function isDegraded(store: StoreState, blob: Blob): boolean {
  if (store.device.isDegraded?.()) return true;
  for (let back = blob.back; back !== undefined; back = back.kind === 'blob' ? back.blob.back : undefined) {
    if (back.kind === 'external') return back.device.isDegraded?.() ?? false;
  }
  return false;
}

function requireFittingBlocks(store: StoreState, blob: Blob, device: BlockDevice): void {
  const { ioUnitBytes } = store.geometry;
  if (ioUnitBytes % device.blockLengthBytes === 0) return;
  const sizes = `its blocks are ${device.blockLengthBytes} bytes, which do not divide the store's io unit of ${ioUnitBytes}`;
  throw new BlobstoreError('EINVAL', `the external snapshot does not fit blob ${blob.id}: ${sizes}`);
}
