/** An operation whose every device operation is made to fail, and what it starts from. */

import type { BlobId, Durability, Steps } from '@blobyard/core';
import type { Oracle } from './oracle.js';
import type { Configuration, Yard } from './yard.js';

export interface Scenario {
  readonly name: string;
  /** Makes the store; all of it is synced before the operation. */
  prepare(yard: Yard): Steps<void>;
  /** Changes what is only in memory when the operation begins. */
  change?(yard: Yard): Steps<void>;
  /** The operation; answers the id of a blob that it makes. */
  run(yard: Yard): Steps<BlobId | undefined>;
  /** Tells an oracle what the operation has done. */
  apply(oracle: Oracle, yard: Yard, made: BlobId | undefined): void;
  /** After a failure of `run`: the way to what it was to bring about; the operation again unless given. */
  retry?(yard: Yard): Steps<BlobId | undefined>;
  /** True when what the operation did is on disk once it has answered; true unless given. */
  isDurable?(durability: Durability): boolean;
  /** The operation does several things, and a crash may find any of its blobs as before or as after it. */
  readonly isSeveral?: boolean;
  /** A failure that the operation does not report, and why that is right. */
  readonly mayHide?: string;
  /** Only with configurations that this accepts. */
  suits?(configuration: Configuration): boolean;
  /** A failure leaves in memory what is only on disk once it is synced. */
  readonly isUnsynced?: boolean;
  /** What failed comes into force with the next sync all the same: no other work is tried after it. */
  readonly isLasting?: boolean;
  /** It gives clusters back uncleared, as its blob was told to. */
  readonly leavesBytes?: boolean;
  /** Data that is there is changed without a flush: losing power may leave any part of the change. */
  readonly changesInPlace?: boolean;
  /** What is larger than usual. */
  readonly sizes?: Partial<Configuration>;
}

export function scenario(fields: Scenario): Scenario {
  return fields;
}
