/**
 * The units of the engine as branded numbers, so that a cluster of a blob is not taken for a cluster of the device. All are
 * indices, safe integers from 0; counts and sizes are plain numbers with the unit in their name.
 */

declare const unit: unique symbol;
type Branded<Name extends string> = number & { readonly [unit]: Name };

/** A block of the device. */
export type Lba = Branded<'Lba'>;
/** A block of a blob as its users see it: offsets and lengths of reads and writes are in io units. */
export type IoUnit = Branded<'IoUnit'>;
/** A 4096-byte page of the metadata region, counted from the region's start. */
export type MdPage = Branded<'MdPage'>;
/** A cluster of a blob: an index into its cluster map. */
export type BlobCluster = Branded<'BlobCluster'>;
/** A cluster of the device; 0 holds the super block, so that 0 in a cluster map means "not allocated". */
export type DeviceCluster = Branded<'DeviceCluster'>;

/** Bytes in a metadata page. */
export const PAGE_BYTES = 4096;
/** Cluster entries that one extent page maps. */
export const CLUSTERS_PER_EXTENT_PAGE = 512;
/** "None" for metadata page numbers (`next`), and "not found" of bit searches. */
export const NONE_U32 = 0xffff_ffff;
/** A cluster map entry, or an extent table entry, that points nowhere. */
export const UNALLOCATED = 0;

/** A blob's identity on disk: 2^32 plus the index of its first metadata page. */
export type BlobId = bigint;
/** The id of no blob: a blob with this parent has none. */
export const INVALID_BLOB_ID: BlobId = 0xffff_ffff_ffff_ffffn;
/** The parent of a blob whose data comes from outside the store. */
export const EXTERNAL_SNAPSHOT_ID: BlobId = 0xffff_ffff_ffff_fffen;
const FIRST_BLOB_ID: BlobId = 1n << 32n;

/** The metadata page where a blob's chain begins. */
export function pageOfBlobId(id: BlobId): MdPage {
  return Number(id & 0xffff_ffffn) as MdPage;
}

/** The id of the blob whose chain begins at a page. */
export function blobIdOfPage(page: MdPage): BlobId {
  return FIRST_BLOB_ID + BigInt(page);
}

/** Whole parts of `divisor` needed to hold `value`. */
export function divideRoundUp(value: number, divisor: number): number {
  return Math.ceil(value / divisor);
}
