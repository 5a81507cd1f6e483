/**
 * Makes an operation fail at each of its device operations in turn, in several ways. Each time it checks the store:
 * live, after another attempt, after a crash, and after unloading.
 */

import { createHash } from 'node:crypto';
import { Blobstore, BlobstoreError, runSync } from '@blobyard/core';
import type { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { requireSound } from '../check/require-sound.js';
import { CONFIGURATIONS } from './configurations.js';
import { copyMedium } from './copy-medium.js';
import { copyState, difference, Oracle } from './oracle.js';
import { FATES, type Fate, otherWork } from './other-work.js';
import type { Scenario } from './scenario.js';
import { type Configuration, looksLike, observe, optionsOf, Yard } from './yard.js';

type Kind = Parameters<FaultyDevice['count']>[0];

/** A way of failing at operation k. */
export interface Mode {
  readonly name: string;
  readonly arm: (device: FaultyDevice, k: number) => void;
  /** The number of device operations so far, of those that k counts. */
  readonly counts: (device: FaultyDevice) => number;
  /** True: the device drops writes, and reports success. Then only the medium can be checked. */
  readonly isSilent?: boolean;
}

const FOREVER = 1_000_000;
const all = (device: FaultyDevice) => device.count();
const changing = (device: FaultyDevice) => device.count() - device.count('read');

function failing(name: string, times: number, kind?: Kind): Mode {
  const arm = (device: FaultyDevice, k: number) => device.failAt(k, { kind, times });
  return { name, arm, counts: (device) => device.count(kind) };
}

/** Each device operation fails alone, or with those after it; or the power is cut at it. */
const MODES: readonly Mode[] = [
  failing('one failure', 1),
  failing('two failures', 2),
  failing('failures from then on', FOREVER),
  { name: 'power cut', arm: (device, k) => device.cutPowerAt(k), counts: changing },
  {
    name: 'silent power cut',
    arm: (device, k) => device.cutPowerAt(k, { writes: 'drop' }),
    counts: changing,
    isSilent: true,
  },
];

/** One failure, or one that lasts, so that undoing the operation fails too. */
const LASTING_MODES = [MODES[0], MODES[2]];

/** All device operations of a kind fail from the k-th on. */
const KIND_MODES: readonly Mode[] = (['read', 'write', 'writeZeroes', 'unmap', 'flush', 'copy'] as const).map((kind) =>
  failing(`every ${kind} fails`, FOREVER, kind),
);

/** Device operation k fails, and another one a few later: so the handling of the first failure fails, too. */
function pairModes(distances: readonly number[]): Mode[] {
  return distances.map((distance) => ({
    name: `failures ${distance} apart`,
    arm: (device: FaultyDevice, k: number) => {
      device.failAt(k);
      device.failAt(k + distance);
    },
    counts: all,
  }));
}

/**
 * What is done after a failure. `look`: everything is checked, before and after another attempt. `retry`: another
 * attempt is made at once. `go on`: other work is done at once.
 */
type Then = 'look' | 'retry' | 'go on';

/** The states of a store in a run without a failure. */
interface Rehearsal {
  /** The synced state before the operation. */
  synced: Oracle;
  /** The state of the live store just before the operation. */
  before: Oracle;
  /** The state after the operation. */
  after: Oracle;
  medium: SparseMemoryDevice;
}

export class Sweep {
  readonly #scenario: Scenario;
  readonly #configuration: Configuration;
  readonly #rehearsal: Rehearsal;
  /** All that was found to be wrong, as texts. */
  readonly problems: string[] = [];
  /** The number of faults that have taken effect. */
  hits = 0;
  /** Images that were checked already without a finding. Different failures often leave the same image. */
  readonly #right = new Set<string>();

  constructor(scenario: Scenario, configuration: Configuration) {
    this.#scenario = scenario;
    this.#configuration = { ...configuration, ...scenario.sizes };
    this.#rehearsal = this.#rehearse();
  }

  /**
   * Makes the operation fail at k = 1, 2, 3… until k is past its end. `then` selects what is done after each failure.
   */
  run(modes: readonly Mode[], then: Then = 'look'): this {
    if (then === 'go on' && this.#scenario.isLasting) return this;
    for (const mode of modes) {
      for (let k = 1; this.#attempt(mode, k, then); k++) this.hits++;
    }
    return this;
  }

  /** Cuts the power of a device with a volatile cache. Any part of the unflushed writes may stay. */
  cutCached(): this {
    const yard = this.#prepared((_, { cache }) => cache.begin());
    runSync(this.#scenario.run(yard));
    const { synced, before, after } = this.#rehearsal;
    for (const { name, medium, isAtEnd } of yard.cache.images()) {
      this.hits++;
      const allowed = isAtEnd && this.#isDurable ? [after] : [synced, before, after];
      this.#guard(name, () => this.#checkCrash(medium, allowed));
    }
    return this;
  }

  #rehearse(): Rehearsal {
    let synced = new Oracle();
    const yard = this.#prepared((oracle) => {
      synced = oracle.copy();
    });
    const before = yard.oracle.copy();
    const made = runSync(this.#scenario.run(yard));
    const after = before.copy();
    this.#scenario.apply(after, yard, made);
    const medium = copyMedium(yard.medium);
    this.#guard('undisturbed', () => {
      this.#checkLive(yard, [after]);
      this.#checkCrash(medium, this.#isDurable ? [after] : [synced, before, after]);
      this.#checkUnload(yard, after);
    });
    return { synced, before, after, medium };
  }

  get #isDurable(): boolean {
    return this.#scenario.isDurable?.(this.#configuration.durability) ?? true;
  }

  #prepared(onSynced?: (oracle: Oracle, yard: Yard) => void): Yard {
    const yard = new Yard(this.#configuration);
    runSync(yard.init());
    runSync(this.#scenario.prepare(yard));
    runSync(yard.store.flush());
    onSynced?.(yard.oracle, yard);
    if (this.#scenario.change) runSync(this.#scenario.change(yard));
    return yard;
  }

  /** One run with a fault at k. Returns whether the fault took effect. */
  #attempt(mode: Mode, k: number, then: Then): boolean {
    const yard = this.#prepared();
    const { device } = yard;
    const first = mode.counts(device);
    mode.arm(device, k);
    let failure: unknown;
    try {
      runSync(this.#scenario.run(yard));
    } catch (error) {
      failure = error;
    }
    const wasMet = mode.counts(device) - first >= k;
    if (!wasMet) return false;
    device.clearFaults();
    device.restorePower();
    this.#guard(`${mode.name}, k = ${k}, ${then}`, () => {
      if (then === 'look') this.#checkAll(yard, mode, failure);
      else if (then === 'retry') this.#retryAtOnce(yard, failure);
      else this.#goOn(yard, FATES[k % FATES.length], k % 3 !== 0);
    });
    return true;
  }

  #checkAll(yard: Yard, mode: Mode, failure: unknown): void {
    const { synced, before, after } = this.#rehearsal;
    const crashed = copyMedium(yard.medium);
    if (mode.isSilent) {
      this.#checkCrash(crashed, [synced, before, after]);
      return;
    }
    this.#checkFailure(failure);
    const live = this.#checkLive(yard, failure === undefined ? [after] : [before, after]);
    const answered = failure === undefined && this.#isDurable;
    this.#checkCrash(crashed, answered ? [after] : [synced, before, after]);
    this.#checkCrash(copyMedium(yard.medium), answered ? [after] : [synced, before, after], 'a later crash');
    const expected = failure === undefined ? after : this.#retry(yard, live);
    this.#checkLive(yard, [expected]);
    this.#checkCrash(
      copyMedium(yard.medium),
      this.#isDurable ? [expected] : [live, expected],
      'a crash after the retry',
    );
    this.#checkUnload(yard, expected);
  }

  /** Tries again without a full check before, because that would open, close and thus write blobs. */
  #retryAtOnce(yard: Yard, failure: unknown): void {
    if (failure === undefined) return;
    const live = this.#glance(yard);
    const expected = this.#retry(yard, live);
    this.#checkCrash(copyMedium(yard.medium), this.#isDurable ? [expected] : [live, expected], 'a retry and a crash');
    this.#checkLive(yard, [expected]);
    this.#checkUnload(yard, expected);
  }

  /** The state of the live store, found without a write. */
  #glance(yard: Yard): Oracle {
    const { before, after } = this.#rehearsal;
    yard.store.verify();
    const live = [before, after].find((each) => looksLike(yard, each));
    if (!live) throw new Error('the live store is neither as before the operation nor as after it');
    return live;
  }

  /** Does other work in the store, which must not be disturbed by what the failure has left. */
  #goOn(yard: Yard, fate: Fate, isFirst: boolean): void {
    const live = this.#glance(yard);
    const { oracle } = yard;
    oracle.blobs.clear();
    for (const [id, state] of live.blobs) oracle.blobs.set(id, copyState(state));
    oracle.superBlob = live.superBlob;
    oracle.clusterCount = live.clusterCount;
    runSync(otherWork(yard, fate, isFirst));
    const { apply, change, isUnsynced, mayHide } = this.#scenario;
    const mustFlush = this.#configuration.durability === 'power-loss' || change !== undefined || isUnsynced;
    if (mustFlush) runSync(yard.store.flush());
    yard.store.verify();
    const allowed = [oracle];
    if (mayHide && fate === 'kept' && live === this.#rehearsal.before) {
      const done = oracle.copy(); // the failed operation may already have taken effect on disk
      apply.call(this.#scenario, done, yard, undefined);
      allowed.push(done);
    }
    this.#checkCrash(copyMedium(yard.medium), allowed, 'other work and a crash');
    this.#checkLive(yard, [oracle]);
    this.#checkUnload(yard, oracle);
  }

  #checkFailure(failure: unknown): void {
    if (failure === undefined) {
      if (!this.#scenario.mayHide) throw new Error('the failure was not reported');
      return;
    }
    if (!(failure instanceof BlobstoreError)) throw failure;
    const isInjected = failure.code === 'EIO' && /as the test asked|the power is off/.test(failure.message);
    if (!isInjected) throw new Error(`another error than the injected one: ${failure.message}`, { cause: failure });
  }

  /** Makes another attempt, without faults. Returns what the store must contain then. */
  #retry(yard: Yard, live: Oracle): Oracle {
    const expected = live.copy();
    const { apply, retry, run } = this.#scenario;
    const isDone = difference(live, this.#rehearsal.before) !== undefined;
    try {
      const made = runSync((retry ?? run).call(this.#scenario, yard));
      if (!isDone || made !== undefined) apply.call(this.#scenario, expected, yard, made);
    } catch (error) {
      // A blob that the failed attempt has deleted cannot be deleted again.
      if (!(isDone && error instanceof BlobstoreError && error.code === 'ENOENT')) throw error;
    }
    return expected;
  }

  /** Throws unless pages and clusters are consistent, none leaks, and all data is allowed. Returns the state. */
  #checkLive(yard: Yard, allowed: readonly Oracle[]): Oracle {
    yard.store.verify();
    runSync(yard.store.audit());
    const found = runSync(observe(yard.store));
    this.#requireOneOf('the live store', found, allowed);
    yard.store.verify();
    runSync(yard.store.audit());
    return found;
  }

  /** Throws unless the store can be loaded after a crash, its state is allowed, and stays the same. */
  #checkCrash(medium: SparseMemoryDevice, allowed: readonly Oracle[], what = 'a crash'): void {
    this.#once(`crash ${allowed.map((each) => this.#nameOf(each))} ${hashOf(medium)}`, () =>
      this.#checkLoading(medium, allowed, what),
    );
  }

  #checkLoading(medium: SparseMemoryDevice, allowed: readonly Oracle[], what: string): void {
    const options = optionsOf(this.#configuration);
    runSync(requireSound(medium, `after ${what}`));
    const store = runSync(Blobstore.load(medium, options));
    const found = this.#checkLoaded(store, `after ${what}`, allowed);
    if (this.#configuration.durability === 'power-loss') this.#requireClear(store, medium, `after ${what}`);
    const free = store.freeClusterCount;
    const anew = runSync(Blobstore.load(copyMedium(medium), { ...options, forceRecover: true }));
    this.#checkLoaded(anew, `after ${what} and a second one`, [found]);
    requireSame('free clusters after a second recovery', anew.freeClusterCount, free);
    runSync(anew.abandon());
    runSync(store.unload());
    this.#checkMasks(medium, found, free);
  }

  #checkUnload(yard: Yard, expected: Oracle): void {
    this.#requireClear(yard.store, yard.medium, 'at the end');
    runSync(yard.closeAll());
    runSync(yard.store.unload());
    this.#once(`unload ${this.#nameOf(expected)} ${hashOf(yard.medium)}`, () =>
      this.#checkMasks(yard.medium, expected, undefined),
    );
  }

  #once(key: string, check: () => void): void {
    if (this.#right.has(key)) return;
    check();
    this.#right.add(key);
  }

  /**
   * A name for an allowed state. A state that was made for one check alone has a fingerprint of its bytes as its name.
   */
  #nameOf(oracle: Oracle): string {
    const known = Object.entries(this.#rehearsal ?? {}).find(([, each]) => each === oracle)?.[0];
    return known ?? fingerprint(oracle);
  }

  /** Throws unless all free clusters that a blob may get are zeroes. */
  #requireClear(store: Blobstore, medium: SparseMemoryDevice, when: string): void {
    if (this.#scenario.leavesBytes) return;
    const { clusters } = store.shared;
    const { blocksPerCluster, clusterBytes } = store.geometry;
    const isFree = store.shared.locked(() =>
      Array.from({ length: clusters.capacity }, (_, cluster) => !clusters.isAllocated(cluster)),
    );
    const channel = medium.openChannel();
    const bytes = Buffer.alloc(clusterBytes);
    const zeroes = Buffer.alloc(clusterBytes);
    for (const [cluster, free] of isFree.entries()) {
      const lba = cluster * blocksPerCluster;
      if (!free || medium.isZeroes(lba, blocksPerCluster)) continue;
      void channel.read(bytes, 0, lba, blocksPerCluster);
      if (!bytes.equals(zeroes))
        throw new Error(`${when} the free cluster ${cluster} holds old data instead of zeroes`);
    }
    channel.close();
  }

  /** Throws unless, after a clean unload, the masks have the same as recovery finds. */
  #checkMasks(medium: SparseMemoryDevice, expected: Oracle, free: number | undefined): void {
    const options = optionsOf(this.#configuration);
    runSync(requireSound(medium, 'after unloading'));
    const clean = runSync(Blobstore.load(copyMedium(medium), options));
    this.#checkLoaded(clean, 'after unloading', [expected]);
    const anew = runSync(Blobstore.load(copyMedium(medium), { ...options, forceRecover: true }));
    this.#checkLoaded(anew, 'after unloading and recovery', [expected]);
    requireSame('free clusters by masks and by recovery', clean.freeClusterCount, anew.freeClusterCount);
    if (free !== undefined) requireSame('free clusters before and after unloading', clean.freeClusterCount, free);
    runSync(clean.abandon());
    runSync(anew.abandon());
  }

  #checkLoaded(store: Blobstore, when: string, allowed: readonly Oracle[]): Oracle {
    const [damaged] = store.damaged;
    if (damaged) throw new Error(`${when} blob ${damaged.id} is damaged: ${damaged.error.message}`);
    store.verify();
    runSync(store.audit());
    requireNoMarks(store, when);
    const found = runSync(observe(store));
    this.#requireOneOf(`the store ${when}`, found, allowed);
    return found;
  }

  #requireOneOf(what: string, found: Oracle, allowed: readonly Oracle[]): void {
    if (allowed.some((each) => difference(found, each) === undefined)) return;
    if (this.#scenario.isSeveral && isMixOf(found, allowed)) return;
    const reasons = allowed.map((each) => difference(found, each));
    throw new Error(`${what} is in none of the allowed states: ${reasons.join(' / ')}`);
  }

  #guard(when: string, check: () => void): void {
    try {
      check();
    } catch (error) {
      const { durability, useExtentTable, canCopy } = this.#configuration;
      const how = `${durability}, ${useExtentTable ? 'extent table' : 'runs'}, ${canCopy ? 'copy' : 'no copy'}`;
      const text =
        error instanceof BlobstoreError ? error.message : error instanceof Error ? error.stack : String(error);
      this.problems.push(`${this.#scenario.name} [${how}] ${when}: ${text}`);
    }
  }
}

function hashOf(medium: SparseMemoryDevice): string {
  const hash = createHash('sha1');
  let lba = 0;
  for (const chunk of medium.chunks()) {
    const blocks = chunk.length / medium.blockLengthBytes;
    if (!medium.isZeroes(lba, blocks)) hash.update(`${lba} `).update(chunk);
    lba += blocks;
  }
  return hash.digest('hex');
}

function fingerprint(oracle: Oracle): string {
  const hash = createHash('sha1').update(`${oracle.superBlob} ${oracle.clusterCount}`);
  for (const [id, { content, xattrs, parent, isReadOnly, isThin }] of oracle.blobs) {
    hash.update(`${id} ${parent} ${isReadOnly} ${isThin} ${JSON.stringify([...xattrs])}`).update(content);
  }
  return hash.digest('hex');
}

/** True if each blob is as in one of the oracles. */
function isMixOf(found: Oracle, allowed: readonly Oracle[]): boolean {
  const ids = new Set([found, ...allowed].flatMap((oracle) => [...oracle.blobs.keys()]));
  return [...ids].every((id) => allowed.some((each) => difference(only(found, id), only(each, id)) === undefined));
}

function only(oracle: Oracle, id: bigint): Oracle {
  const one = oracle.copy();
  for (const other of [...one.blobs.keys()]) if (other !== id) one.blobs.delete(other);
  return one;
}

/** Throws if a snapshot is half made or half deleted. */
function requireNoMarks(store: Blobstore, when: string): void {
  for (const id of store.blobIds()) {
    const blob = runSync(store.openBlob(id));
    for (const mark of ['SNAPTMP', 'SNAPRM']) {
      if (blob.internalXattrs.get(mark)) throw new Error(`${when} blob ${id} still has the mark ${mark}`);
    }
    runSync(store.closeBlob(blob));
  }
}

function requireSame(what: string, found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${what}: ${found}, not ${wanted}`);
}

/** Runs all sweeps of a scenario. Large scenarios run with fewer configurations, and each mode with some of them. */
export function sweepScenario(scenario: Scenario): { problems: string[]; hits: number } {
  const configurations = scenario.sizes ? CONFIGURATIONS.slice(0, 2) : CONFIGURATIONS;
  const sweeps = configurations.map((configuration) => {
    const sweep = new Sweep(scenario, configuration).run(MODES).run(LASTING_MODES, 'go on');
    if (scenario.sizes) return sweep.run(LASTING_MODES, 'retry');
    if (configuration.durability === 'process-crash') return sweep.run(LASTING_MODES, 'retry').run(KIND_MODES);
    return sweep.run(pairModes([2, 4])).run(pairModes([3]), 'go on');
  });
  return {
    problems: sweeps.flatMap(({ problems }) => problems),
    hits: sweeps.reduce((sum, { hits }) => sum + hits, 0),
  };
}
