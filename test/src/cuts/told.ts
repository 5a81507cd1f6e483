/**
 * The answers that a round of the workload got, in a form that a file can hold. The model derives its states from them.
 */

import type { Durability } from '@blobyard/core';
import { Behind, BlobHistory, FOREVER } from '../stress/history.js';
import type { MetadataEvent } from '../stress/metadata-log.js';
import type { RoundBlobs } from '../stress/metadata-side.js';
import { BLOCKS_MAX, CHANGE, type LoggedChange, type SharedLog, STATUS } from '../stress/shared-log.js';
import type { BlockContent } from '../stress/stamp.js';

/** A blob of the round. */
export interface ToldBlob {
  readonly index: number;
  readonly name: string;
  /** The contents of its blocks at the begin of its history, and the tokens that were ever behind each block. */
  readonly contents: readonly BlockContent[];
  readonly behind: readonly (readonly number[])[];
  readonly isOverZeroes: boolean;
  /** The contents of a snapshot's blocks; undefined for a writable blob. */
  readonly truth: readonly BlockContent[] | undefined;
  /** The moment at which the first snapshot of it may have been made. */
  readonly firstSnapshot: number;
}

/** A plain object, which can be written to a file. */
export interface Told {
  readonly durability: Durability;
  /** True: the device named the owner of its cache (`BlockDevice.cacheOwner`). */
  readonly namesCacheOwner: boolean;
  readonly blobs: readonly ToldBlob[];
  readonly changes: readonly LoggedChange[];
  readonly events: readonly MetadataEvent[];
}

export function toldOf(
  { durability, namesCacheOwner }: Pick<Told, 'durability' | 'namesCacheOwner'>,
  log: SharedLog,
  round: RoundBlobs,
): Told {
  const blobs = round.blobs.map(({ index, name, base, truth }) => ({
    index,
    name,
    contents: base.contents,
    behind: Array.from({ length: BLOCKS_MAX }, (_, block) => [...base.behind.at(block)]),
    isOverZeroes: base.isOverZeroes,
    truth,
    firstSnapshot: round.firstSnapshots.get(index) ?? FOREVER,
  }));
  return { durability, namesCacheOwner, blobs, changes: [...log.changes()], events: round.events };
}

/** The history of a writable blob. */
export function historyOf(told: Told, blob: ToldBlob): BlobHistory {
  return historyFrom(blob, changesOf(told, blob));
}

/** The same history, as if only its shrinks were certain to have taken effect. */
export function historyOfShrinks(told: Told, blob: ToldBlob): BlobHistory {
  const changes = changesOf(told, blob);
  const unsure = (change: LoggedChange) => ({ ...change, status: STATUS.KILLED });
  return historyFrom(
    blob,
    changes.map((change) => (change.kind === CHANGE.SHRINK ? change : unsure(change))),
  );
}

function changesOf({ changes }: Told, { index }: ToldBlob): LoggedChange[] {
  return changes.filter(({ blob }) => blob === index).sort((one, other) => one.begin - other.begin);
}

function historyFrom(
  { contents, behind, isOverZeroes, firstSnapshot }: ToldBlob,
  changes: LoggedChange[],
): BlobHistory {
  return new BlobHistory({ contents, behind: Behind.of(behind), isOverZeroes }, changes, firstSnapshot);
}

/** The acknowledged flushes of one blob. */
export function flushesOf({ changes }: Told, blob: number): LoggedChange[] {
  return changes.filter((each) => each.kind === CHANGE.FLUSH && each.blob === blob && each.status === STATUS.DONE);
}
