/**
 * Tells when a store is about to be full. Every cluster that any thread takes is inserted by the metadata thread, which looks
 * here each time; and whenever clusters are given back.
 */

import type { Blobstore } from '@blobyard/core';
import type { LowSpace } from '../api/store.js';

/** Bytes that can be written to clusters that no blob has, those included that are given back when somebody needs them. */
export function freeBytesOf({ freeClusterCount, reclaimableClusterCount, geometry }: Blobstore): number {
  return (freeClusterCount + reclaimableClusterCount) * geometry.clusterBytes;
}

/** Of all bytes, unless a store is told otherwise. */
const DEFAULT_SHARE = 0.05;
/** So many times the threshold has to be free before the next event: a store that stays near it does not tell each time. */
const RISE = 1.25;

export class LowSpaceWatch {
  readonly #blobstore: Blobstore;
  readonly #givenBytes: number | undefined;
  readonly #tell: (lowSpace: LowSpace) => void;
  #isLow = false;

  /** @param givenBytes - the threshold; 0: never tells; undefined: the default share of the store */
  constructor(blobstore: Blobstore, givenBytes: number | undefined, tell: (lowSpace: LowSpace) => void) {
    this.#blobstore = blobstore;
    this.#givenBytes = givenBytes;
    this.#tell = tell;
    blobstore.watchFree(() => this.look());
  }

  /** Tells if free space has fallen below the threshold since it was last well above. */
  look(): void {
    const { freeClusterCount, dataClusterCount, geometry } = this.#blobstore;
    const totalBytes = dataClusterCount * geometry.clusterBytes;
    const thresholdBytes = this.#givenBytes ?? Math.ceil(totalBytes * DEFAULT_SHARE);
    const atOnceBytes = freeClusterCount * geometry.clusterBytes;
    if (this.#isLow && atOnceBytes >= Math.min(thresholdBytes * RISE, totalBytes)) this.#isLow = false;
    if (this.#isLow || atOnceBytes >= thresholdBytes) return;
    const freeBytes = freeBytesOf(this.#blobstore); // this looks at all open blobs: not at every insertion
    if (freeBytes >= thresholdBytes) return;
    this.#isLow = true;
    this.#tell({ freeBytes, totalBytes, thresholdBytes });
  }
}
