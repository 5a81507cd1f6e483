/**
 * The units of the engine as branded numbers, so that the compiler rejects a blob's cluster where a device's is
 * expected. All are indices: safe integers from 0. Counts and sizes are plain numbers with the unit in their name.
 */

declare const unit: unique symbol;
type Branded<Name extends string> = number & { readonly [unit]: Name };

/** The index of a block of the device. */
export type Lba = Branded<'Lba'>;
/** The index of an io unit of a blob. Offsets and lengths of reads and writes are in io units. */
export type IoUnit = Branded<'IoUnit'>;
/** The index of a 4096-byte page of the metadata region, counted from the start of the region. */
export type MdPage = Branded<'MdPage'>;
/** The index of a cluster of a blob, which is its index in the cluster map. */
export type BlobCluster = Branded<'BlobCluster'>;
/**
 * The index of a cluster of the device. Cluster 0 holds the super block, so 0 in a cluster map means "not allocated".
 */
export type DeviceCluster = Branded<'DeviceCluster'>;

/** Bytes in a metadata page. */
export const PAGE_BYTES = 4096;
/** Cluster entries in one extent page. */
export const CLUSTERS_PER_EXTENT_PAGE = 512;
/** "None" as a metadata page number (`next`), and "not found" as the result of a bit search. */
export const NONE_U32 = 0xffff_ffff;
/** The entry of a cluster map, or of an extent table, for a cluster, or an extent page, that is not allocated. */
export const UNALLOCATED = 0;

/** A blob's id on disk: 2^32 plus the index of its first metadata page. */
export type BlobId = bigint;
/** The id of no blob; the parent id of a blob that has no parent. */
export const INVALID_BLOB_ID: BlobId = 0xffff_ffff_ffff_ffffn;
/** The parent id of a blob whose parent is an external snapshot. */
export const EXTERNAL_SNAPSHOT_ID: BlobId = 0xffff_ffff_ffff_fffen;
const FIRST_BLOB_ID: BlobId = 1n << 32n;

/** The metadata page at which the chain of a blob begins. */
export function pageOfBlobId(id: BlobId): MdPage {
  return Number(id & 0xffff_ffffn) as MdPage;
}

/** The id of the blob whose chain begins at a metadata page. */
export function blobIdOfPage(page: MdPage): BlobId {
  return FIRST_BLOB_ID + BigInt(page);
}

/** `value` divided by `divisor`, rounded up. */
export function divideRoundUp(value: number, divisor: number): number {
  return Math.ceil(value / divisor);
}
