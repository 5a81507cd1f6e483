/** The sizes of a store, and the conversions between its units. Asserts that the sizes divide each other. */

import { assert } from './error.js';
import {
  type BlobCluster,
  type DeviceCluster,
  divideRoundUp,
  type IoUnit,
  type Lba,
  type MdPage,
  PAGE_BYTES,
} from './units.js';

/** The sizes that the conversions depend on. They are in the super block, and never change during a store's life. */
export interface GeometryFields {
  /** Bytes in a block of the device; divides 4096. */
  blockLengthBytes: number;
  /** Bytes in an io unit; a multiple of the block length that divides 4096. */
  ioUnitBytes: number;
  /** Bytes in a cluster; a multiple of 4096. */
  clusterBytes: number;
  /** First page of the metadata region, counted from the device's start. */
  mdStartPage: number;
  /** Pages in the metadata region. */
  mdPageCount: number;
}

/** The geometry of one store. Immutable; throws an `InvariantError` unless the sizes are as in `GeometryFields`. */
export class Geometry implements GeometryFields {
  readonly blockLengthBytes: number;
  readonly ioUnitBytes: number;
  readonly clusterBytes: number;
  readonly mdStartPage: number;
  readonly mdPageCount: number;
  readonly blocksPerCluster: number;
  readonly blocksPerPage: number;
  readonly blocksPerIoUnit: number;
  readonly pagesPerCluster: number;
  readonly ioUnitsPerCluster: number;
  readonly ioUnitsPerPage: number;

  constructor(fields: GeometryFields) {
    const { blockLengthBytes, ioUnitBytes, clusterBytes } = fields;
    assert(PAGE_BYTES % blockLengthBytes === 0, `blocks of ${blockLengthBytes} bytes do not divide a page`);
    assert(PAGE_BYTES % ioUnitBytes === 0, `io units of ${ioUnitBytes} bytes do not divide a page`);
    assert(ioUnitBytes % blockLengthBytes === 0, `blocks of ${blockLengthBytes} bytes do not divide an io unit`);
    assert(clusterBytes >= PAGE_BYTES && clusterBytes % PAGE_BYTES === 0, `pages do not divide ${clusterBytes} bytes`);
    this.blockLengthBytes = blockLengthBytes;
    this.ioUnitBytes = ioUnitBytes;
    this.clusterBytes = clusterBytes;
    this.mdStartPage = fields.mdStartPage;
    this.mdPageCount = fields.mdPageCount;
    this.blocksPerCluster = clusterBytes / blockLengthBytes;
    this.blocksPerPage = PAGE_BYTES / blockLengthBytes;
    this.blocksPerIoUnit = ioUnitBytes / blockLengthBytes;
    this.pagesPerCluster = clusterBytes / PAGE_BYTES;
    this.ioUnitsPerCluster = clusterBytes / ioUnitBytes;
    this.ioUnitsPerPage = PAGE_BYTES / ioUnitBytes;
  }

  /** The first block of a device cluster. */
  clusterToLba(cluster: DeviceCluster): Lba {
    return (cluster * this.blocksPerCluster) as Lba;
  }

  /** The first block of a page of the metadata region. */
  mdPageToLba(page: MdPage): Lba {
    return ((this.mdStartPage + page) * this.blocksPerPage) as Lba;
  }

  /**
   * The first block of a 4096-byte page counted from the device's start. Also converts a page count to a block count.
   */
  pageToLba(page: number): Lba {
    return (page * this.blocksPerPage) as Lba;
  }

  /** The first io unit of a cluster of a blob. */
  clusterToIoUnit(cluster: BlobCluster): IoUnit {
    return (cluster * this.ioUnitsPerCluster) as IoUnit;
  }

  /** The cluster of a blob that an io unit is in. */
  ioUnitToCluster(ioUnit: number): BlobCluster {
    return Math.floor(ioUnit / this.ioUnitsPerCluster) as BlobCluster;
  }

  /** How many clusters at the device's start hold the super block, the masks and the metadata region. */
  metadataClusterCount(): number {
    return divideRoundUp(this.mdStartPage + this.mdPageCount, this.pagesPerCluster);
  }
}
