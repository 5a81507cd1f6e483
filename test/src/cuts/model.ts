/**
 * The states that a disk may have after a cut at a moment, derived from the answers that the workload got until then.
 *
 * A blob that was made must be there, one that was deleted must not, and one whose creation or deletion was under way
 * may be there or not. For each block of a writable blob there is a settled moment: a value that another one has surely
 * replaced before it must not be there. The settled moment is the begin of the last flush that has ended, or of the
 * last snapshot of the blob. If a killed process keeps all that was acknowledged, it is the moment of the cut. For
 * values that a shrink has cut off it is always the moment of the cut, because a resize is on disk when it is
 * acknowledged. A snapshot never changes.
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

/** A blob, and all that was done to it. */
interface Known {
  /** Undefined for a blob that could not be made. */
  readonly blob: ToldBlob | undefined;
  readonly name: string;
  /** Undefined for a blob that was there when the round began. */
  readonly birth: MetadataEvent | undefined;
  readonly deletions: readonly MetadataEvent[];
  readonly resizes: readonly MetadataEvent[];
  readonly xattrs: readonly MetadataEvent[];
  /** For a snapshot or a clone, the blob that it is made of. */
  readonly madeOf: Known | undefined;
  readonly snapshots: readonly MetadataEvent[];
  readonly flushes: readonly LoggedChange[];
  /** For a writable blob: the history of its changes. `shrinks`: the same, as if only the shrinks were certain. */
  readonly history: BlobHistory | undefined;
  readonly shrinks: BlobHistory | undefined;
}

/** The model of one round. It reports only the first contradiction of each blob on a disk. */
export class Model {
  readonly #told: Told;
  readonly #known: readonly Known[];
  /** The acknowledged flushes of the whole store, and the acknowledged close. */
  readonly #storeFlushes: readonly MetadataEvent[];
  readonly #names: ReadonlySet<string>;

  constructor(told: Told) {
    this.#told = told;
    const births = new Map(told.events.filter(isBirth).map((event) => [event.blob, event]));
    const byIndex = new Map(told.blobs.map((blob) => [blob.index, blob]));
    const known = new Map<number, Known>();
    // A blob comes after the one that it is made of.
    for (const index of [...new Set([...byIndex.keys(), ...births.keys()])].sort((one, other) => one - other)) {
      const of = (kind: LoggedKind) => told.events.filter((event) => event.kind === kind && event.blob === index);
      const [blob, birth] = [byIndex.get(index), births.get(index)];
      known.set(index, {
        blob,
        birth,
        name: blob?.name ?? birth?.name ?? '',
        deletions: of('delete'),
        resizes: of('resize'),
        xattrs: of('xattr'),
        madeOf: birth?.of === undefined ? undefined : known.get(birth.of),
        snapshots: told.events.filter((event) => event.kind === 'snapshot' && event.of === index),
        flushes: flushesOf(told, index),
        history: blob && blob.truth === undefined ? historyOf(told, blob) : undefined,
        shrinks: blob && blob.truth === undefined ? historyOfShrinks(told, blob) : undefined,
      });
    }
    this.#known = [...known.values()];
    this.#names = new Set(this.#known.map(({ name }) => name));
    this.#storeFlushes = told.events.filter(({ blob, isDone }) => blob === THE_STORE && isDone);
  }

  /** The contradictions between a disk after a cut and the model, as texts. */
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
    if (truth !== undefined) return wrongWithXattrs(known, cut.moment, found) ?? wrongWithSnapshot(truth, found);
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

  /** The settled moment of a blob: no cut can undo what was acknowledged before it. */
  #settledUntil({ flushes, snapshots }: Known, { kind, moment }: Cut, all: FoundBlobs): number {
    const { durability, namesCacheOwner } = this.#told;
    if (kind === 'kill' && keepsAcknowledged(durability, namesCacheOwner)) return moment;
    const settling: { begin: number }[] = [...flushes, ...this.#storeFlushes].filter(({ end }) => end < moment);
    // A snapshot that is on the disk settles the data that it was made of, whether it was acknowledged or not.
    settling.push(...snapshots.filter(({ end, isDone, name }) => (isDone && end < moment) || all.has(name ?? '')));
    return settling.reduce((latest, { begin }) => Math.max(latest, begin), 0);
  }
}

function isBirth({ kind }: MetadataEvent): boolean {
  return kind === 'create' || kind === 'snapshot' || kind === 'clone';
}

/** Returns an error text for a blob that is not there, though it was made and its deletion had not begun. */
function mustBe({ birth, deletions }: Known, moment: number): string | undefined {
  const wasMade = birth === undefined || (birth.isDone && birth.end < moment);
  // A deletion that failed before the cut has changed nothing.
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

/** A size is on disk when its resize is acknowledged. Resizes of one blob do not overlap. */
function wrongWithSize({ blob, birth, resizes }: Known, moment: number, { bytes }: FoundBlob): string | undefined {
  const first = birth?.blocks ?? blob?.contents.length ?? 0;
  const done = resizes.filter(({ isDone, end }) => isDone && end < moment);
  const underWay = resizes.filter(({ begin, end }) => begin < moment && end >= moment);
  const allowed = [done.at(-1)?.blocks ?? first, ...underWay.map(({ blocks }) => blocks)];
  const blocks = bytes.length / BLOCK_BYTES;
  return allowed.includes(blocks) ? undefined : ` has ${blocks} blocks, allowed ${allowed.join(' or ')}`;
}

/** An xattr is on disk when it is acknowledged. A snapshot and a clone begin with those of the blob that they are made of. */
function wrongWithXattrs(known: Known, moment: number, found: FoundBlob): string | undefined {
  for (const name of xattrNamesOf(known)) {
    const allowed = xattrDuring(known, name, moment, moment);
    const value = found.xattrs.get(name);
    if (allowed.includes(value)) continue;
    return `, xattr ${name}: found ${abridged(value)}, allowed ${allowed.map(abridged).join(' or ')}`;
  }
  return undefined;
}

function xattrNamesOf({ madeOf, xattrs }: Known): Set<string> {
  const names = new Set(madeOf === undefined ? [] : xattrNamesOf(madeOf));
  for (const { xattr } of xattrs) if (xattr !== undefined) names.add(xattr.name);
  return names;
}

/**
 * The values that an xattr of a blob may have at some moment between two; undefined: none. Of values that were set at the
 * same time any may be the last.
 */
function xattrDuring({ birth, madeOf, xattrs }: Known, name: string, from: number, to: number): (string | undefined)[] {
  const sets = xattrs.filter(({ xattr, begin }) => xattr?.name === name && begin < to);
  const done = sets.filter(({ isDone, end }) => isDone && end < from);
  const isLast = ({ end }: MetadataEvent) => !done.some(({ begin }) => begin > end);
  const values = sets
    .filter((each) => (each.isDone || each.end >= from) && isLast(each))
    .map(({ xattr }) => xattr?.value);
  if (done.length > 0) return values;
  const before = birth && madeOf ? xattrDuring(madeOf, name, birth.begin, birth.end) : [undefined];
  return [...before, ...values];
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
