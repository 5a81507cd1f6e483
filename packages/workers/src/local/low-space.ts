/**
 * Reports when a store is nearly full. Every cluster that any thread allocates is inserted by the metadata thread,
 * which checks the free space each time, and also whenever clusters are freed.
 */

import type { Blobstore } from '@blobyard/core';
import type { LowSpace } from '../api/store.js';

/** Bytes in clusters that no blob has, including those that are reclaimed when they are needed. */
export function freeBytesOf({ freeClusterCount, reclaimableClusterCount, geometry }: Blobstore): number {
  return (freeClusterCount + reclaimableClusterCount) * geometry.clusterBytes;
}

/** The default threshold, as a part of all bytes of the store. */
const DEFAULT_SHARE = 0.05;
/**
 * Before the next event, this many times the threshold must have been free. So a store near the threshold reports once.
 */
const RISE = 1.25;

/** Metadata thread. */
export class LowSpaceWatch {
  readonly #blobstore: Blobstore;
  readonly #givenBytes: number | undefined;
  readonly #tell: (lowSpace: LowSpace) => void;
  #isLow = false;

  /**
   * @param givenBytes - the threshold; 0: never reports; undefined: the default part of the store
   * @param tell - called with each report
   */
  constructor(blobstore: Blobstore, givenBytes: number | undefined, tell: (lowSpace: LowSpace) => void) {
    this.#blobstore = blobstore;
    this.#givenBytes = givenBytes;
    this.#tell = tell;
    blobstore.watchFree(() => this.look());
  }

  /** Reports if the free space has fallen below the threshold, once until it has risen well above it again. */
  look(): void {
    const { freeClusterCount, dataClusterCount, geometry } = this.#blobstore;
    const totalBytes = dataClusterCount * geometry.clusterBytes;
    const thresholdBytes = this.#givenBytes ?? Math.ceil(totalBytes * DEFAULT_SHARE);
    const atOnceBytes = freeClusterCount * geometry.clusterBytes;
    if (this.#isLow && atOnceBytes >= Math.min(thresholdBytes * RISE, totalBytes)) this.#isLow = false;
    if (this.#isLow || atOnceBytes >= thresholdBytes) return;
    const freeBytes = freeBytesOf(this.#blobstore); // visits all open blobs: too slow for every insertion
    if (freeBytes >= thresholdBytes) return;
    this.#isLow = true;
    this.#tell({ freeBytes, totalBytes, thresholdBytes });
  }
}
