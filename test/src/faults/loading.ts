/**
 * Makes the operations fail that open and end a store: a clean load, recovery after a crash, growing an unloaded store,
 * unloading. After a failure no store is open, and the next opening must find everything.
 */

import { Blobstore, BlobstoreError, runSync, type Steps } from '@blobyard/core';
import { FaultyDevice, type SparseMemoryDevice } from '@blobyard/io';
import { copyMedium } from './copy-medium.js';
import { difference, type Oracle } from './oracle.js';
import type { Scenario } from './scenario.js';
import { type Configuration, observe, optionsOf, Yard } from './yard.js';

/** What a crash in the middle of an operation has left, and the states that a load may find. */
export interface Wreck {
  medium: SparseMemoryDevice;
  allowed: readonly Oracle[];
}

/** Cuts the power at each device operation in turn. Returns what is on the medium each time. */
export function wrecksOf(scenario: Scenario, configuration: Configuration): Wreck[] {
  const whole = { ...configuration, ...scenario.sizes };
  const wrecks: Wreck[] = [];
  for (let k = 1; ; k++) {
    const yard = prepared(scenario, whole);
    const synced = yard.oracle.copy();
    if (scenario.change) runSync(scenario.change(yard));
    const before = yard.oracle.copy();
    yard.device.cutPowerAt(k, { writes: 'drop' });
    const after = before.copy();
    scenario.apply(after, yard, runSync(scenario.run(yard)));
    if (yard.device.isPowered) return wrecks;
    wrecks.push({ medium: yard.medium, allowed: [synced, before, after] });
  }
}

/** An unloaded store with everything that a scenario prepares. */
export function unloaded(scenario: Scenario, configuration: Configuration): Wreck {
  const yard = prepared(scenario, { ...configuration, ...scenario.sizes });
  runSync(yard.closeAll());
  runSync(yard.store.unload());
  return { medium: yard.medium, allowed: [yard.oracle] };
}

function prepared(scenario: Scenario, configuration: Configuration): Yard {
  const yard = new Yard(configuration);
  runSync(yard.init());
  runSync(scenario.prepare(yard));
  runSync(yard.store.flush());
  return yard;
}

export type Opening = (device: FaultyDevice, configuration: Configuration) => Steps<Blobstore>;

export const load: Opening = (device, configuration) => Blobstore.load(device, optionsOf(configuration));
export const recoverAnyway: Opening = (device, configuration) =>
  Blobstore.load(device, { ...optionsOf(configuration), forceRecover: true });
export const grow: Opening = (device, configuration) => Blobstore.grow(device, optionsOf(configuration));

/**
 * Makes an opening fail at device operation `first`, then at each `step`-th after that, and opens the store again each
 * time. Returns what was wrong. A failure must be reported, unless a run of pages could not be read: then these pages
 * are read one by one.
 */
export function failOpening(wreck: Wreck, configuration: Configuration, open: Opening, first = 1, step = 1): string[] {
  const problems: string[] = [];
  const intact = new FaultyDevice(copyMedium(wreck.medium));
  runSync(open(intact, configuration));
  for (const how of ['fail', 'power cut', 'silent power cut'] as const) {
    for (let k = first; ; k += step) {
      const medium = copyMedium(wreck.medium);
      const device = new FaultyDevice(medium);
      if (how === 'fail') device.failAt(k);
      else device.cutPowerAt(k, { writes: how === 'power cut' ? 'fail' : 'drop' });
      const failure = failureOf(() => runSync(open(device, configuration)));
      const count = device.count() - (how === 'fail' ? 0 : device.count('read'));
      if (count < k) break;
      try {
        const isMadeUpFor = how === 'fail' && failure === undefined && device.count('read') > intact.count('read');
        if (how !== 'silent power cut' && !isMadeUpFor) requireInjected(failure);
        checkOpened(medium, configuration, wreck.allowed);
      } catch (error) {
        problems.push(`${how}, k = ${k}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }
  return problems;
}

/** Opens a store in every way that must work. All must find the same state, which must be an allowed one. */
export function checkOpened(
  medium: SparseMemoryDevice,
  configuration: Configuration,
  allowed: readonly Oracle[],
): void {
  const options = optionsOf(configuration);
  const store = runSync(Blobstore.load(medium, options));
  const found = checkStore(store, allowed);
  const free = store.freeClusterCount;
  runSync(store.unload());
  for (const forceRecover of [false, true]) {
    const again = runSync(Blobstore.load(copyMedium(medium), { ...options, forceRecover }));
    checkStore(again, [found]);
    if (again.freeClusterCount !== free) throw new Error(`${again.freeClusterCount} clusters are free, not ${free}`);
    runSync(again.abandon());
  }
}

function checkStore(store: Blobstore, allowed: readonly Oracle[]): Oracle {
  const [damaged] = store.damaged;
  if (damaged) throw new Error(`blob ${damaged.id} is damaged: ${damaged.error.message}`);
  runSync(store.audit());
  const found = runSync(observe(store));
  const differences = allowed.map((each) => difference(found, each));
  if (!differences.includes(undefined)) throw new Error(`in none of the allowed states: ${differences.join(' / ')}`);
  return found;
}

export function failureOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

export function requireInjected(failure: unknown): void {
  if (failure === undefined) throw new Error('the failure was not reported');
  const isInjected = failure instanceof BlobstoreError && failure.code === 'EIO';
  if (!isInjected || !/as the test asked|the power is off/.test(failure.message)) throw failure;
}

/**
 * Makes an unload fail at each device operation in turn. Then the store must be closed, and a load must find
 * everything.
 * @param before - is done first; returns the states that a load may find at the end
 */
export function failUnloading(
  scenario: Scenario,
  configuration: Configuration,
  before: (yard: Yard) => readonly Oracle[],
): string[] {
  const problems: string[] = [];
  for (const how of ['fail', 'fail from then on', 'power cut', 'silent power cut'] as const) {
    for (let k = 1; ; k++) {
      const yard = prepared(scenario, { ...configuration, ...scenario.sizes });
      const allowed = before(yard);
      runSync(yard.closeAll());
      const { device } = yard;
      const isCut = how === 'power cut' || how === 'silent power cut';
      const counted = () => device.count() - (isCut ? device.count('read') : 0);
      const first = counted();
      if (isCut) device.cutPowerAt(k, { writes: how === 'power cut' ? 'fail' : 'drop' });
      else device.failAt(k, { times: how === 'fail' ? 1 : 1000 });
      const failure = failureOf(() => runSync(yard.store.unload()));
      if (counted() - first < k) break;
      try {
        if (how !== 'silent power cut') requireInjected(failure);
        if (!yard.store.isClosed) throw new Error('the store is still open');
        checkOpened(copyMedium(yard.medium), configuration, allowed);
      } catch (error) {
        problems.push(`${how}, k = ${k}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }
  return problems;
}
