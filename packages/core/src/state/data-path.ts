/**
 * What metadata operations need of the channels of this thread. It is an interface, because `channel/` is above this
 * folder, and imports only go down.
 */

import type { Blob } from '../blob/blob.js';
import type { Steps } from '../steps/steps.js';
import type { BlobCluster } from '../units/units.js';

/** A channel of the metadata thread. */
export interface DataPath {
  /** Allocates a cluster and gives it the content that it reads as. Does nothing if it is allocated already. */
  allocate(blob: Blob, index: BlobCluster): Steps<void>;
  /** Reads whole clusters of a blob into the start of a buffer. */
  readClusters(blob: Blob, buffer: Uint8Array, first: BlobCluster, count: number): Steps<void>;
  /** Runs the operations that were queued while a blob was frozen. */
  thaw(slot: number): void;
  /** Closes the channel to the device behind an external clone. It is opened again when needed. */
  closeExternal(slot: number): void;
  /**
   * Closes the channel: queued operations fail with EIO, and those under way are waited for. A second call does
   * nothing.
   */
  close(): Steps<void>;
}
