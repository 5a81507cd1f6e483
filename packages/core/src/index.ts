/** What the other packages use of the engine: the store and its channels, and the structures that threads share. */

export { type Backing, Blob } from './blob/blob.js';
export type { BlobSummary } from './blob/blob-summary.js';
export { Channel } from './channel/channel.js';
export type { BlobRef, ChannelHost, MetadataPort } from './channel/host.js';
export { bufferGone } from './channel/scatter.js';
export { type CheckOptions, checkStore } from './check/check-store.js';
export {
  type CheckReport,
  type CheckSummary,
  type Finding,
  type FindingKind,
  isRepairable,
  type Severity,
} from './check/report.js';
export type { BlockDevice, DeviceChannel, RequestOptions } from './device/block-device.js';
export { Blobstore } from './engine/blobstore.js';
export type { CreateOptions } from './engine/create-options.js';
export { dumpStore } from './engine/dump-store.js';
export type { InlinePort } from './engine/inline-port.js';
export type { Xattrs } from './engine/xattrs.js';
export { crc32c } from './format/crc32c.js';
export { type ClearMethod, isClearMethod } from './format/flags.js';
export { isMarksPage } from './format/marks-page.js';
export { bstypeFromText, bstypeToText, SuperBlock } from './format/super-block.js';
export { XATTR_BYTES_MAX } from './format/xattr.js';
export type { InsertionOutcome } from './metadata/insert-cluster.js';
export type { WantedInsertion } from './metadata/note-insertions.js';
export type { OpenBlobOptions } from './metadata/open-close.js';
export { BitArray } from './shared/bit-array.js';
export { BitPool } from './shared/bit-pool.js';
export { ChannelTable, type ThreadIdentity } from './shared/channel-table.js';
export { type ClaimedCluster, claimCluster, unclaimCluster } from './shared/claim-cluster.js';
export { ClaimLog } from './shared/claim-log.js';
export { BACK, BLOB, BLOB_FLAG, CHANNELS_MAX, CLAIMS_MAX, STORE_END } from './shared/layout.js';
export { SharedStore, type SharedStoreBuffers } from './shared/shared-store.js';
export type { StoreLife } from './shared/store-life.js';
export { rowOfThread, UsedLock } from './shared/used-lock.js';
export { UsedPages } from './shared/used-pages.js';
export type { DamagedBlob } from './state/damage.js';
export type { Durability, ExternalSnapshotRequest, OpenExternalSnapshot } from './state/store-state.js';
export { type Pause, run, runNowOrLater, runSync } from './steps/run.js';
export { type MaybePromise, type Steps, type Waitable, wait, waitFor } from './steps/steps.js';
export type { AbortSignalLike, Watched } from './steps/watched.js';
export type { PrintText, PrintXattr } from './store/dump.js';
export { noRoomToGrow } from './store/grow.js';
export type { InitOptions, LoadedBlob, LoadOptions } from './store/options.js';
export { blockLengthOfStore } from './store/super-geometry.js';
export {
  assert,
  BlobstoreError,
  coded,
  type Damage,
  DamagedStoreError,
  ERRNO,
  type ErrorCode,
  InvariantError,
  toBlobstoreError,
} from './units/error.js';
export { Geometry, type GeometryFields } from './units/geometry.js';
export * from './units/units.js';
