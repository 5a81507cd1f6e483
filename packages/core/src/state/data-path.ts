/** What operations on metadata ask of this thread's channels, which are a floor higher. */

import type { Blob } from '../blob/blob.js';
import type { Steps } from '../steps/steps.js';
import type { BlobCluster } from '../units/units.js';

export interface DataPath {
  /** Allocates a cluster with the content that it reads as now; nothing if it is allocated. */
  allocate(blob: Blob, index: BlobCluster): Steps<void>;
  /** Lets the operations run that queued while a blob was frozen. */
  thaw(slot: number): void;
  /** Closes the channel to the device behind an external clone; it is opened anew when needed. */
  closeExternal(slot: number): void;
  /** Fails what is queued with EIO, waits for what is under way, and gives everything back. Closing twice does nothing more. */
  close(): Steps<void>;
}
