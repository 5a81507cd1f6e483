/**
 * What may be there after a cut at a moment, from what the workload was told until then.
 *
 * A blob that was made is there, one that was deleted is not, and of what was under way either. Of each block of a blob that can
 * be written a value may be there unless another has surely replaced it before a moment from which on nothing can be taken back: a
 * flush that has come back has made such a moment of its beginning, and so has a snapshot of the blob. Where a killed process keeps
 * all that was acknowledged, that moment is the cut itself; and it always is for what was cut off, because resizes are on disk once
 * they are acknowledged. A snapshot is what it ever was.
 */

import { keepsAcknowledged } from '../killed-process.js';
import { type BlobHistory, tokenText } from '../stress/history.js';
import type { LoggedKind, MetadataEvent } from '../stress/metadata-log.js';
import { THE_STORE } from '../stress/metadata-log.js';
import type { LoggedChange } from '../stress/shared-log.js';
import { BLOCK_BYTES, BLOCK_WORDS, type BlockContent, readStamp } from '../stress/stamp.js';
import type { Cut } from './disks.js';
import { flushesOf, historyOf, historyOfShrinks, type Told, type ToldBlob } from './told.js';

/** A blob as it was found on a disk. */
export interface FoundBlob {
  readonly bytes: Uint8Array;
  readonly xattrs: ReadonlyMap<string, string>;
  readonly isReadOnly: boolean;
}

export type FoundBlobs = ReadonlyMap<string, FoundBlob>;

/** A blob, and what was done to it. */
interface Known {
  /** Undefined of one whose making has failed. */
  readonly blob: ToldBlob | undefined;
  readonly name: string;
  /** Undefined of one that was there when the round began. */
  readonly birth: MetadataEvent | undefined;
  readonly deletions: readonly MetadataEvent[];
  readonly resizes: readonly MetadataEvent[];
  readonly xattrs: readonly MetadataEvent[];
  readonly snapshots: readonly MetadataEvent[];
  readonly flushes: readonly LoggedChange[];
  /** Of one that can be written; of its shrinks alone. */
  readonly history: BlobHistory | undefined;
  readonly shrinks: BlobHistory | undefined;
}

/** Of many contradictions on a disk only the first of each blob is told. */
export class Model {
  readonly #told: Told;
  readonly #known: readonly Known[];
  /** Flushes of the whole store, and closing it, as far as they were acknowledged. */
  readonly #storeFlushes: readonly MetadataEvent[];
  readonly #names: ReadonlySet<string>;

  constructor(told: Told) {
    this.#told = told;
    const births = new Map(told.events.filter(isBirth).map((event) => [event.blob, event]));
    const byIndex = new Map(told.blobs.map((blob) => [blob.index, blob]));
    this.#known = [...new Set([...byIndex.keys(), ...births.keys()])].map((index) => {
      const of = (kind: LoggedKind) => told.events.filter((event) => event.kind === kind && event.blob === index);
      const [blob, birth] = [byIndex.get(index), births.get(index)];
      return {
        blob,
        birth,
        name: blob?.name ?? birth?.name ?? '',
        deletions: of('delete'),
        resizes: of('resize'),
        xattrs: of('xattr'),
        snapshots: told.events.filter((event) => event.kind === 'snapshot' && event.of === index),
        flushes: flushesOf(told, index),
        history: blob && blob.truth === undefined ? historyOf(told, blob) : undefined,
        shrinks: blob && blob.truth === undefined ? historyOfShrinks(told, blob) : undefined,
      };
    });
    this.#names = new Set(this.#known.map(({ name }) => name));
    this.#storeFlushes = told.events.filter(({ blob, isDone }) => blob === THE_STORE && isDone);
  }

  /** What contradicts: what is on a disk after a cut, and must not be, or the other way round. */
  contradictions(cut: Cut, found: FoundBlobs): string[] {
    const findings: string[] = [];
    for (const name of found.keys())
      if (!this.#names.has(name)) findings.push(`blob ${name} is there, and was never made`);
    for (const known of this.#known) {
      const blob = found.get(known.name);
      const wrong = blob === undefined ? mustBe(known, cut.moment) : this.#wrongWith(known, cut, blob, found);
      if (wrong !== undefined) findings.push(`blob ${known.name}${wrong}`);
    }
    return findings;
  }

  #wrongWith(known: Known, cut: Cut, found: FoundBlob, all: FoundBlobs): string | undefined {
    const mayNotBe = mustNotBe(known, cut.moment);
    if (mayNotBe !== undefined || known.blob === undefined) return mayNotBe;
    const { truth } = known.blob;
    if (found.isReadOnly !== (truth !== undefined)) return `: read-only is ${found.isReadOnly}`;
    if (truth !== undefined) return wrongWithSnapshot(truth, found);
    return (
      wrongWithSize(known, cut.moment, found) ??
      wrongWithXattrs(known, cut.moment, found) ??
      this.#wrongWithContent(known, cut, found, all)
    );
  }

  #wrongWithContent(known: Known, cut: Cut, { bytes }: FoundBlob, all: FoundBlobs): string | undefined {
    const { history, shrinks } = known;
    if (history === undefined || shrinks === undefined) return undefined;
    const { moment } = cut;
    const settled = this.#settledUntil(known, cut, all);
    for (const [block, { tokens, foreignAt }] of contentsOf(bytes).entries()) {
      if (foreignAt >= 0) return `, block ${block}: byte ${foreignAt} is no stamp of the block`;
      const wrong = tokens.find((token) => {
        const isThere = history.visible(block, token, settled, moment) && shrinks.visible(block, token, moment, moment);
        return isThere === undefined;
      });
      if (wrong === undefined) continue;
      const expected = history.describe(block, settled, moment);
      const what = `, block ${block}, settled until ${settled}: found ${tokenText(wrong)}, expected ${expected}`;
      return [what, ...history.lastChanges(block, moment)].join('\n    ');
    }
    return undefined;
  }

  /** The moment before which nothing that was acknowledged for a blob can be taken back by a cut. */
  #settledUntil({ flushes, snapshots }: Known, { kind, moment }: Cut, all: FoundBlobs): number {
    const { durability, namesCacheOwner } = this.#told;
    if (kind === 'kill' && keepsAcknowledged(durability, namesCacheOwner)) return moment;
    const settling: { begin: number }[] = [...flushes, ...this.#storeFlushes].filter(({ end }) => end < moment);
    // A snapshot that is there has settled what it was made of, acknowledged or not.
    settling.push(...snapshots.filter(({ end, isDone, name }) => (isDone && end < moment) || all.has(name ?? '')));
    return settling.reduce((latest, { begin }) => Math.max(latest, begin), 0);
  }
}

function isBirth({ kind }: MetadataEvent): boolean {
  return kind === 'create' || kind === 'snapshot' || kind === 'clone';
}

/** It was made, and nobody has begun to delete it. */
function mustBe({ birth, deletions }: Known, moment: number): string | undefined {
  const wasMade = birth === undefined || (birth.isDone && birth.end < moment);
  // A deletion that has failed has changed nothing.
  const isAtRisk = deletions.some(({ begin, end, isDone }) => begin < moment && (isDone || end >= moment));
  return wasMade && !isAtRisk ? ' is not there' : undefined;
}

function mustNotBe({ birth, deletions }: Known, moment: number): string | undefined {
  if (birth !== undefined && birth.begin >= moment) return ' is there before it was made';
  if (birth !== undefined && !birth.isDone && birth.end < moment) return ' is there, and could not be made';
  return deletions.some(({ end, isDone }) => isDone && end < moment) ? ' is there again, and was deleted' : undefined;
}

function wrongWithSnapshot(truth: readonly BlockContent[], { bytes }: FoundBlob): string | undefined {
  const contents = contentsOf(bytes);
  if (contents.length !== truth.length) return ` has ${contents.length} blocks, the snapshot has ${truth.length}`;
  const block = contents.findIndex(({ signature }, at) => signature !== truth[at].signature);
  if (block < 0) return undefined;
  const text = ({ tokens, foreignAt }: BlockContent) =>
    foreignAt < 0 ? tokens.map(tokenText).join(' and ') : `${tokens.map(tokenText).join(' and ')} and what is no stamp`;
  return `, a snapshot, block ${block}: found ${text(contents[block])}, expected ${text(truth[block])}`;
}

/** Sizes are on disk once they are acknowledged; resizes of one blob do not overlap. */
function wrongWithSize({ blob, birth, resizes }: Known, moment: number, { bytes }: FoundBlob): string | undefined {
  const first = birth?.blocks ?? blob?.contents.length ?? 0;
  const done = resizes.filter(({ isDone, end }) => isDone && end < moment);
  const underWay = resizes.filter(({ begin, end }) => begin < moment && end >= moment);
  const allowed = [done.at(-1)?.blocks ?? first, ...underWay.map(({ blocks }) => blocks)];
  const blocks = bytes.length / BLOCK_BYTES;
  return allowed.includes(blocks) ? undefined : ` has ${blocks} blocks, allowed ${allowed.join(' or ')}`;
}

/** So are xattrs; of those that were set at once any may be the last. */
function wrongWithXattrs({ xattrs }: Known, moment: number, found: FoundBlob): string | undefined {
  const begun = xattrs.filter(({ begin }) => begin < moment);
  for (const name of new Set(begun.map(({ xattr }) => xattr?.name))) {
    const sets = begun.filter(({ xattr }) => xattr?.name === name);
    const done = sets.filter(({ isDone, end }) => isDone && end < moment);
    const isLast = ({ end }: MetadataEvent) => !done.some(({ begin }) => begin > end);
    const mayBe = sets.filter((each) => (each.isDone || each.end >= moment) && isLast(each));
    const values = mayBe.map(({ xattr }) => xattr?.value);
    const value = found.xattrs.get(name ?? '');
    if (value === undefined ? done.length === 0 : values.includes(value)) continue;
    return `, xattr ${name}: found ${abridged(value)}, allowed ${values.map(abridged).join(' or ')}`;
  }
  return undefined;
}

function abridged(value: string | undefined): string {
  return value === undefined ? 'none' : `${value.slice(0, 12)}… of ${value.length}`;
}

function contentsOf(bytes: Uint8Array): BlockContent[] {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return Array.from({ length: bytes.byteLength / BLOCK_BYTES }, (_, block) => {
    return readStamp(words, block * BLOCK_WORDS, block);
  });
}
