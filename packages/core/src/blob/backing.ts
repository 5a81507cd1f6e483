/** What answers reads of a cluster that a thin blob has not allocated. */

import type { BlockDevice } from '../device/block-device.js';
import type { Blob } from './blob.js';

export type Backing =
  /** Nothing was there: zeroes. */
  | { kind: 'zeroes' }
  /** A snapshot in the same store, which this reference holds open. */
  | { kind: 'blob'; blob: Blob }
  /** A read-only device outside the store. */
  | { kind: 'external'; device: BlockDevice };

export const ZEROES: Backing = { kind: 'zeroes' };
