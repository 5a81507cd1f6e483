/**
 * The model of a blob's data. For each sector it has the token that a read must find now, the other tokens that it may
 * find after operations that overlapped or failed half way, and the tokens that a cut may bring back.
 */

import type { Blob, ClearMethod } from '@blobyard/core';
import { type MetaFields, MetaHistory, type MetaState } from './model-meta.js';
import { FRESH, SECTOR_WORDS, tokenAt, ZERO } from './sectors.js';

export type DataKind = 'read' | 'write' | 'zero' | 'unmap';

/** A transfer of data that is under way. */
export interface DataOperation {
  readonly kind: DataKind;
  readonly blob: ModelBlob;
  /** The first sector of the blob, and the number of sectors. */
  readonly first: number;
  readonly count: number;
  /** The token of its sectors when it is done. */
  readonly token: number;
}

/** The tokens of sectors before a change that is not durable yet. */
interface Past {
  readonly first: number;
  readonly tokens: Int32Array;
  /** The moment at which the change was acknowledged. */
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
  /** The token of each sector. After the blob became shorter, it still has the former tokens past the end. */
  now: Int32Array;
  /** For uncertain sectors: the other tokens that a read may find. */
  readonly maybe = new Map<number, number[]>();
  #past: Past[] = [];
  readonly pending = new Set<DataOperation>();
  /** While a snapshot is being made: the changes that may be in it or not. */
  overlapping: Set<DataOperation> | undefined;
  /** The number of snapshots made of it. */
  snapshots = 0;
  handle: Blob | undefined;
  /** True: an operation that changes its metadata is under way. */
  isBusy = false;
  /** The number of syncs and flushes under way. */
  syncing = 0;
  /** True: no new operation on its data may begin, since it is being closed or made read-only. */
  isClosing = false;
  /** The number of clusters that it has before and after a resize under way. */
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

  /** Takes over the data of another blob. */
  copyContent(from: ModelBlob): void {
    this.now = from.now.slice(0, this.sectorCount);
    for (const [sector, tokens] of from.maybe) if (sector < this.now.length) this.maybe.set(sector, [...tokens]);
  }

  /** Records that each of these changes of the original may be in this snapshot or not. */
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
   * Records that a change was acknowledged.
   * @param isCertain - false if it may have left its sectors unchanged
   * @param at - the moment of that; undefined if no cut can undo acknowledged changes
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

  /** Records that a change failed. Each of its sectors may have the old or the new token. */
  failed(operation: DataOperation): void {
    this.pending.delete(operation);
    for (let sector = operation.first; sector < operation.first + operation.count; sector++) {
      this.#add(sector, operation.token);
    }
  }

  /** Records that all changes acknowledged before a moment are durable. */
  flushed(moment: number): void {
    if (this.#past.length > 0) this.#past = this.#past.filter(({ at }) => at > moment);
  }

  /** Records that memory has the metadata which an operation has proposed. */
  accept(state: MetaState, at: number): void {
    const before = this.meta.clusters;
    const { parent } = this.meta;
    state.since = at;
    if (state.clusters > before) this.#extend(before * this.sectorsPerCluster, parent);
    this.steadyClusters = this.meta.clusters;
  }

  /** Records that the disk has the metadata which memory had at a moment. */
  settled(moment: number): void {
    this.history.settle(moment);
    if (this.history.states.length === 1 && this.now.length > this.sectorCount) this.#cutOff(this.sectorCount);
  }

  /** Compares data that was read with the model, and removes uncertainty from the model. Returns a finding, if any. */
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
   * After a cut: compares the data that was found with the model, and takes it over.
   * @param state - the metadata that was found
   * @param keptAt - the moment of this, if a power cut may still undo what is found now, because it was not flushed
   * @param isKept - true if no acknowledged change may be lost
   */
  recover(
    state: MetaState,
    words: Int32Array,
    isLax: boolean,
    keptAt: number | undefined,
    isKept: boolean,
    at: number,
  ): string | undefined {
    // Sectors that were cut off after that state are all there: they are cleared only after a root with the new size.
    const until = this.history.states.slice(0, this.history.states.indexOf(state) + 1);
    const steady = Math.min(...until.map(({ clusters }) => clusters)) * this.sectorsPerCluster;
    this.history.become(state, at);
    this.steadyClusters = state.clusters;
    if (this.now.length < this.sectorCount) this.#extend(this.now.length, state.parent);
    const past = isKept ? [] : this.#past;
    if (keptAt !== undefined) this.#rememberAll(keptAt);
    for (let sector = 0; sector < this.sectorCount; sector++) {
      const found = tokenAt(words, sector * SECTOR_WORDS, sector);
      const mayBeFresh = isLax && found === ZERO; // either zeroed, or never written: a sector never written may still change
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

  /** Records the present tokens as unflushed, since after a kill a power cut may still undo what is found now. */
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

/** The tokens that a read may find where a blob has no cluster of its own. */
function behind(parent: ModelBlob | undefined, sector: number): number[] {
  if (parent === undefined || sector >= parent.sectorCount) return [FRESH];
  return [parent.now[sector], ...(parent.maybe.get(sector) ?? [])];
}

function matches(wanted: number, found: number, isLax: boolean): boolean {
  return wanted === found || (wanted === FRESH && (found === ZERO || isLax));
}
