/** Operations on an asynchronous device that fails: the store stays correct, live and after a crash. */

import { Blobstore, BlobstoreError, run, runSync } from '@blobyard/core';
import { FaultyDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import {
  CREATE_SCENARIOS,
  DELETE_SCENARIOS,
  RESIZE_SCENARIOS,
  SYNC_SCENARIOS,
  UNMAP_SCENARIOS,
  WRITE_SCENARIOS,
} from './blob-scenarios.js';
import { CONFIGURATIONS } from './configurations.js';
import { copyMedium } from './copy-medium.js';
import { difference, type Oracle } from './oracle.js';
import type { Scenario } from './scenario.js';
import {
  CLONE_SCENARIOS,
  COPY_ON_WRITE_SCENARIOS,
  DELETE_SNAPSHOT_SCENARIOS,
  INDEPENDENCE_SCENARIOS,
  SNAPSHOT_SCENARIOS,
} from './snapshot-scenarios.js';
import { STORE_SCENARIOS } from './store-scenarios.js';
import { type Configuration, observe, optionsOf, Yard } from './yard.js';

/** One or two scenarios of each kind. Every fourth device operation is made to fail, alone or with all that follow. */
const SCENARIOS: readonly Scenario[] = [
  CREATE_SCENARIOS[3],
  RESIZE_SCENARIOS[5],
  SYNC_SCENARIOS[0],
  SYNC_SCENARIOS[3],
  DELETE_SCENARIOS[1],
  WRITE_SCENARIOS[4],
  UNMAP_SCENARIOS[0],
  SNAPSHOT_SCENARIOS[1],
  SNAPSHOT_SCENARIOS[3],
  CLONE_SCENARIOS[1],
  COPY_ON_WRITE_SCENARIOS[0],
  INDEPENDENCE_SCENARIOS[1],
  INDEPENDENCE_SCENARIOS[4],
  DELETE_SNAPSHOT_SCENARIOS[0],
  DELETE_SNAPSHOT_SCENARIOS[4],
  ...STORE_SCENARIOS,
];
const STEP = 4;

describe.each(CONFIGURATIONS)('an asynchronous device, $durability, extent table $useExtentTable', (configuration) => {
  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', async (_, scenario) => {
    const whole = { ...configuration, ...scenario.sizes, isAsynchronous: true };
    const after = rehearsed(scenario, { ...whole, isAsynchronous: false });
    for (let k = 1; await failsWell(scenario, whole, after, k); k += STEP);
  });
});

/**
 * Makes the k-th device operation of a scenario fail. Expects the store to be correct, now and after a crash. Returns
 * false if the scenario has fewer device operations.
 */
async function failsWell(scenario: Scenario, configuration: Configuration, after: Oracle, k: number): Promise<boolean> {
  const yard = new Yard(configuration);
  await run(yard.init());
  await run(scenario.prepare(yard));
  await run(yard.store.flush());
  const synced = yard.oracle.copy();
  if (scenario.change) await run(scenario.change(yard));
  const before = yard.oracle.copy();
  const count = yard.device.count();
  yard.device.failAt(k, { times: k % 8 === 1 ? 1 : 1000 });
  const failure = await run(scenario.run(yard)).then(
    () => undefined,
    (error: unknown) => error,
  );
  const wasMet = yard.device.count() - count >= k;
  yard.device.clearFaults();
  if (!wasMet) return false;
  if (failure !== undefined || !scenario.mayHide) expect(failure).toBeInstanceOf(BlobstoreError);
  const crashed = copyMedium(yard.medium);
  yard.store.verify();
  await run(yard.store.audit());
  const live = await run(observe(yard.store));
  requireOneOf(live, [before, after], scenario);
  checkCrash(crashed, configuration, [synced, before, after], scenario);
  await run(yard.closeAll());
  await run(yard.store.unload());
  checkCrash(yard.medium, configuration, [live], scenario);
  return true;
}

/** The contents of the store after the operation without a failure. */
function rehearsed(scenario: Scenario, configuration: Configuration): Oracle {
  const yard = new Yard(configuration);
  runSync(yard.init());
  runSync(scenario.prepare(yard));
  runSync(yard.store.flush());
  if (scenario.change) runSync(scenario.change(yard));
  scenario.apply(yard.oracle, yard, runSync(scenario.run(yard)));
  return yard.oracle;
}

function requireOneOf(found: Oracle, allowed: readonly Oracle[], scenario: Scenario): void {
  if (scenario.isSeveral) return; // any mixture of the states is allowed; the synchronous sweep checks that
  expect(allowed.map((each) => difference(found, each))).toContain(undefined);
}

function checkCrash(
  medium: Yard['medium'],
  configuration: Configuration,
  allowed: readonly Oracle[],
  scenario: Scenario,
): void {
  const store = runSync(Blobstore.load(medium, optionsOf(configuration)));
  expect(store.damaged).toEqual([]);
  runSync(store.audit());
  requireOneOf(runSync(observe(store)), allowed, scenario);
  runSync(store.abandon());
}

it('a failed insertion of a cluster does not fail that of another channel which waits for it', async () => {
  const yard = new Yard({ ...CONFIGURATIONS[0], isAsynchronous: true });
  await run(yard.init());
  await run(yard.create('a', { clusters: 4, isThin: true }));
  await run(yard.open('a'));
  await run(yard.write('a', 0, 1, 3));
  const other = yard.store.openChannel();
  const { ioUnitsPerCluster } = yard.store.geometry;
  yard.device.failAt(1, { kind: 'write' }); // the write of the extent page with the first channel's cluster
  const [first, second] = await Promise.allSettled([
    yard.channel.write(yard.blob('a'), yard.payload(1, 4), ioUnitsPerCluster, ioUnitsPerCluster),
    other.write(yard.blob('a'), yard.payload(1, 5), ioUnitsPerCluster, ioUnitsPerCluster),
  ]);
  expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
  yard.wrote(yard.id('a'), yard.bytesOf(1), yard.payload(1, 5));
  await run(yard.store.audit());
  const found = runSync(observe(runSync(Blobstore.load(copyMedium(yard.medium), optionsOf(yard.configuration)))));
  expect(difference(found, yard.oracle)).toBe(undefined);
  await run(yard.store.flush());
  await run(yard.store.audit());
  expect(yard.blob('a').map.uncertain).toEqual([]);
});

it('a load that fails on an asynchronous device can be tried again', async () => {
  const yard = new Yard(CONFIGURATIONS[0]);
  runSync(yard.init());
  runSync(SNAPSHOT_SCENARIOS[3].prepare(yard));
  runSync(yard.store.flush());
  for (let k = 1; ; k += STEP) {
    const medium = copyMedium(yard.medium);
    const device = new FaultyDevice(medium, { asynchronous: true });
    device.failAt(k);
    const failure = await run(Blobstore.load(device, optionsOf(yard.configuration))).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (device.count() < k) break;
    expect(failure).toMatchObject({ code: 'EIO' });
    checkCrash(medium, yard.configuration, [yard.oracle], SNAPSHOT_SCENARIOS[3]);
  }
});
