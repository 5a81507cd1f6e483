/**
 * What is known of a blob's content: for each sector what a read must see now, what it may see besides where operations
 * overlapped or failed half way, and what a cut may bring back.
 */

import type { Blob, ClearMethod } from '@blobyard/core';
import { type MetaFields, MetaHistory, type MetaState } from './model-meta.js';
import { FRESH, SECTOR_WORDS, tokenAt, ZERO } from './sectors.js';

export type DataKind = 'read' | 'write' | 'zero' | 'unmap';

/** A transfer of data that is under way. */
export interface DataOperation {
  readonly kind: DataKind;
  readonly blob: ModelBlob;
  /** In sectors. */
  readonly first: number;
  readonly count: number;
  /** What its sectors hold when it is done. */
  readonly token: number;
}

/** What sectors held before a change that no flush has made durable yet. */
interface Past {
  readonly first: number;
  readonly tokens: Int32Array;
  /** When the change was acknowledged. */
  readonly at: number;
}

export interface NewModelBlob {
  readonly uid: number;
  readonly id: bigint;
  readonly clearMethod: ClearMethod;
  readonly sectorsPerCluster: number;
  readonly meta: MetaFields;
  readonly since: number;
}

export class ModelBlob {
  readonly uid: number;
  id: bigint;
  readonly clearMethod: ClearMethod;
  readonly sectorsPerCluster: number;
  readonly history: MetaHistory;
  /** What reads see. It may go on past the blob's end, with what was there before it was cut. */
  now: Int32Array;
  /** Where that is not certain: what else reads may see. */
  readonly maybe = new Map<number, number[]>();
  #past: Past[] = [];
  readonly pending = new Set<DataOperation>();
  /** While a snapshot is being made: the changes that it may have or not. */
  overlapping: Set<DataOperation> | undefined;
  /** Snapshots made of it. */
  snapshots = 0;
  handle: Blob | undefined;
  /** An operation that changes metadata is under way. */
  isBusy = false;
  /** Syncs and flushes under way. */
  syncing = 0;
  /** Nobody may use it for data any more: it is being closed, or made read-only. */
  isClosing = false;
  /** Clusters that are there whatever becomes of a resize under way. */
  steadyClusters: number;

  constructor(fields: NewModelBlob) {
    this.uid = fields.uid;
    this.id = fields.id;
    this.clearMethod = fields.clearMethod;
    this.sectorsPerCluster = fields.sectorsPerCluster;
    this.history = new MetaHistory(fields.meta, fields.since);
    this.steadyClusters = fields.meta.clusters;
    this.now = new Int32Array(fields.meta.clusters * fields.sectorsPerCluster).fill(FRESH);
  }

  get meta(): MetaState {
    return this.history.current;
  }

  get sectorCount(): number {
    return this.meta.clusters * this.sectorsPerCluster;
  }

  /** Takes over what another blob reads as. */
  copyContent(from: ModelBlob): void {
    this.now = from.now.slice(0, this.sectorCount);
    for (const [sector, tokens] of from.maybe) if (sector < this.now.length) this.maybe.set(sector, [...tokens]);
  }

  /** Each change under way, or begun from now on, may be in a snapshot or not. */
  mayHave(operations: Iterable<DataOperation>): void {
    for (const { kind, first, count, token } of operations) {
      if (kind === 'read') continue;
      for (let sector = first; sector < first + count && sector < this.now.length; sector++) this.#add(sector, token);
    }
  }

  begin(operation: DataOperation): void {
    this.pending.add(operation);
    this.overlapping?.add(operation);
  }

  /**
   * A change was acknowledged.
   * @param isCertain - false when it may have left its sectors as they were
   * @param at - undefined where acknowledged changes are kept by every cut that comes
   */
  done(operation: DataOperation, isCertain: boolean, at: number | undefined): void {
    const { first, count, token } = operation;
    this.pending.delete(operation);
    if (at !== undefined) this.#remember(first, count, at);
    for (let sector = first; sector < first + count; sector++) {
      const others = isCertain ? undefined : [this.now[sector], ...(this.maybe.get(sector) ?? [])];
      this.maybe.delete(sector);
      this.now[sector] = token;
      for (const other of others ?? []) this.#add(sector, other);
    }
  }

  /** A change failed; each of its sectors is as it was, or as it should be. */
  failed(operation: DataOperation): void {
    this.pending.delete(operation);
    for (let sector = operation.first; sector < operation.first + operation.count; sector++) {
      this.#add(sector, operation.token);
    }
  }

  /** What was acknowledged before a moment is durable. */
  flushed(moment: number): void {
    if (this.#past.length > 0) this.#past = this.#past.filter(({ at }) => at > moment);
  }

  /** Memory has what an operation was to bring. */
  accept(state: MetaState, at: number): void {
    const before = this.meta.clusters;
    const { parent } = this.meta;
    state.since = at;
    if (state.clusters > before) this.#extend(before * this.sectorsPerCluster, parent);
    this.steadyClusters = this.meta.clusters;
  }

  /** The disk has the metadata that memory had at a moment. */
  settled(moment: number): void {
    this.history.settle(moment);
    if (this.history.states.length === 1 && this.now.length > this.sectorCount) this.#cutOff(this.sectorCount);
  }

  /** Compares what was read with what may be there now, and learns what was not certain. A finding, or nothing. */
  checkRead(words: Int32Array, first: number, isLax: boolean, at: number | undefined): string | undefined {
    const count = words.length / SECTOR_WORDS;
    for (let index = 0; index < count; index++) {
      const sector = first + index;
      const found = tokenAt(words, index * SECTOR_WORDS, sector);
      if (matches(this.now[sector], found, isLax)) continue;
      const other = this.maybe.get(sector)?.find((token) => matches(token, found, isLax));
      if (other === undefined) return this.#describe(sector, found, this.#live(sector));
      if (at !== undefined) this.#remember(sector, 1, at);
      this.now[sector] = other;
      this.maybe.delete(sector);
    }
    return undefined;
  }

  /**
   * After a cut: compares what was read with all that may be there. What was found is what there is from now on.
   * @param state - the metadata that was found
   * @param keptAt - set where a power cut may still undo what is seen now, because it was not flushed
   * @param isKept - nothing acknowledged may be lost
   */
  recover(
    state: MetaState,
    words: Int32Array,
    isLax: boolean,
    keptAt: number | undefined,
    isKept: boolean,
    at: number,
  ): string | undefined {
    // What was cut off later than that is there whole: it is cleared only once a root says so.
    const until = this.history.states.slice(0, this.history.states.indexOf(state) + 1);
    const steady = Math.min(...until.map(({ clusters }) => clusters)) * this.sectorsPerCluster;
    this.history.become(state, at);
    this.steadyClusters = state.clusters;
    if (this.now.length < this.sectorCount) this.#extend(this.now.length, state.parent);
    const past = isKept ? [] : this.#past;
    if (keptAt !== undefined) this.#rememberAll(keptAt);
    for (let sector = 0; sector < this.sectorCount; sector++) {
      const found = tokenAt(words, sector * SECTOR_WORDS, sector);
      const mayBeFresh = isLax && found === ZERO; // what was zeroed, or what was never written: then it may change yet
      if (matches(this.now[sector], found, isLax) && !mayBeFresh) continue;
      const allowed = this.#afterCut(sector, past, sector >= steady);
      const isFresh = mayBeFresh && allowed.includes(FRESH);
      const other = isFresh ? FRESH : allowed.find((token) => matches(token, found, isLax));
      if (other === undefined) return this.#describe(sector, found, allowed);
      this.now[sector] = other;
    }
    if (this.now.length > this.sectorCount) this.#cutOff(this.sectorCount);
    this.maybe.clear();
    if (keptAt === undefined) this.#past = [];
    this.#forgetOperations();
    return undefined;
  }

  #forgetOperations(): void {
    this.pending.clear();
    this.overlapping = undefined;
    this.handle = undefined;
    this.isBusy = false;
    this.isClosing = false;
    this.syncing = 0;
  }

  /** A killed process leaves what was not flushed to the device: a power cut may still undo what is seen now. */
  #rememberAll(at: number): void {
    this.#remember(0, this.now.length, at);
    for (const { kind, first, count, token } of this.pending) {
      if (kind !== 'read') this.#past.push({ first, tokens: new Int32Array(count).fill(token), at });
    }
  }

  #live(sector: number): number[] {
    return [this.now[sector], ...(this.maybe.get(sector) ?? [])];
  }

  #afterCut(sector: number, past: readonly Past[], isPastSteady: boolean): number[] {
    const allowed = sector < this.now.length ? this.#live(sector) : [];
    for (const { first, tokens } of past) {
      if (sector >= first && sector < first + tokens.length) allowed.push(tokens[sector - first]);
    }
    for (const { kind, first, count, token } of this.pending) {
      if (kind !== 'read' && sector >= first && sector < first + count) allowed.push(token);
    }
    if (isPastSteady) allowed.push(FRESH, ...behind(this.meta.parent, sector));
    return allowed;
  }

  #add(sector: number, token: number): void {
    const others = this.maybe.get(sector);
    if (others) others.push(token);
    else this.maybe.set(sector, [token]);
  }

  #remember(first: number, count: number, at: number): void {
    this.#past.push({ first, tokens: this.now.slice(first, first + count), at });
    if (this.maybe.size === 0) return;
    for (let sector = first; sector < first + count; sector++) {
      for (const token of this.maybe.get(sector) ?? []) {
        this.#past.push({ first: sector, tokens: Int32Array.of(token), at });
      }
    }
  }

  #extend(from: number, parent: ModelBlob | undefined): void {
    const before = this.now;
    this.now = new Int32Array(Math.max(before.length, this.sectorCount));
    this.now.set(before);
    for (let sector = from; sector < this.sectorCount; sector++) {
      const [token, ...others] = behind(parent, sector);
      if (sector < before.length) others.push(before[sector], FRESH);
      this.now[sector] = token;
      for (const other of others) this.#add(sector, other);
    }
  }

  #cutOff(sectors: number): void {
    this.now = this.now.slice(0, sectors);
    for (const sector of this.maybe.keys()) if (sector >= sectors) this.maybe.delete(sector);
  }

  #describe(sector: number, found: number, allowed: readonly number[]): string {
    return `blob ${this.uid}, sector ${sector}: found ${found}, allowed ${[...new Set(allowed)].join(' ')}`;
  }
}

/** What shows where a blob has no cluster. */
function behind(parent: ModelBlob | undefined, sector: number): number[] {
  if (parent === undefined || sector >= parent.sectorCount) return [FRESH];
  return [parent.now[sector], ...(parent.maybe.get(sector) ?? [])];
}

function matches(wanted: number, found: number, isLax: boolean): boolean {
  return wanted === found || (wanted === FRESH && (found === ZERO || isLax));
}
