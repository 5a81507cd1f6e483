/** What a round of the workload was told, as a file can keep it, and as what may be there after a cut is derived from it. */

import type { Durability } from '@blobyard/core';
import { Behind, BlobHistory, FOREVER } from '../stress/history.js';
import type { MetadataEvent } from '../stress/metadata-log.js';
import type { RoundBlobs } from '../stress/metadata-side.js';
import { BLOCKS_MAX, CHANGE, type LoggedChange, type SharedLog, STATUS } from '../stress/shared-log.js';
import type { BlockContent } from '../stress/stamp.js';

/** A blob that the round knew. */
export interface ToldBlob {
  readonly index: number;
  readonly name: string;
  /** What it held when it was first known, and what has ever been behind each of its blocks. */
  readonly contents: readonly BlockContent[];
  readonly behind: readonly (readonly number[])[];
  readonly isOverZeroes: boolean;
  /** What a snapshot holds, block by block; undefined for what can be written. */
  readonly truth: readonly BlockContent[] | undefined;
  /** When the first snapshot of it may have been made. */
  readonly firstSnapshot: number;
}

/** Plain: it can be written to a file. */
export interface Told {
  readonly durability: Durability;
  /** The device said who keeps what was not flushed. */
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

/** The history of a blob that can be written. */
export function historyOf(told: Told, blob: ToldBlob): BlobHistory {
  return historyFrom(blob, changesOf(told, blob));
}

/** The same, as if of all changes only the shrinks had surely taken effect. */
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

/** Flushes of one blob that were acknowledged. */
export function flushesOf({ changes }: Told, blob: number): LoggedChange[] {
  return changes.filter((each) => each.kind === CHANGE.FLUSH && each.blob === blob && each.status === STATUS.DONE);
}
