/** A scenario: an operation, each of whose device operations is made to fail in turn, and the state before it. */

import type { BlobId, Durability, Steps } from '@blobyard/core';
import type { Oracle } from './oracle.js';
import type { Configuration, Yard } from './yard.js';

export interface Scenario {
  readonly name: string;
  /** Prepares the store. All of this is synced before the operation. */
  prepare(yard: Yard): Steps<void>;
  /** Makes changes that are only in memory when the operation begins. */
  change?(yard: Yard): Steps<void>;
  /** The operation. Returns the id of the blob that it makes, if it makes one. */
  run(yard: Yard): Steps<BlobId | undefined>;
  /** Applies the changes of the operation to an oracle. */
  apply(oracle: Oracle, yard: Yard, made: BlobId | undefined): void;
  /** Reaches the goal of `run` after it has failed. Default: `run` again. */
  retry?(yard: Yard): Steps<BlobId | undefined>;
  /** Whether the changes of the operation are durable when it has ended. Default: true. */
  isDurable?(durability: Durability): boolean;
  /** True: the operation changes several blobs, and after a crash each of them may be as before or as after it. */
  readonly isSeveral?: boolean;
  /** If the operation need not report a failure, the reason why that is correct. */
  readonly mayHide?: string;
  /** The scenario runs only with configurations for which this returns true. */
  suits?(configuration: Configuration): boolean;
  /** True: after a failure, memory has changes that get to disk only by a sync. */
  readonly isUnsynced?: boolean;
  /** True: the failed change takes effect with the next sync all the same, so no other work is tried after it. */
  readonly isLasting?: boolean;
  /** True: it frees clusters without clearing them, as the clear method of its blob says. */
  readonly leavesBytes?: boolean;
  /** True: it overwrites data without a flush, so that a power cut may leave any part of the change. */
  readonly changesInPlace?: boolean;
  /** The sizes that differ from the usual ones. */
  readonly sizes?: Partial<Configuration>;
}

export function scenario(fields: Scenario): Scenario {
  return fields;
}
