/** Loading, recovering, growing and unloading a store, while the device fails at each operation in turn. */

import { runSync } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { CREATE_SCENARIOS, LARGE, RESIZE_SCENARIOS } from './blob-scenarios.js';
import { CONFIGURATIONS } from './configurations.js';
import { failOpening, failUnloading, failureOf, grow, load, recoverAnyway, unloaded, wrecksOf } from './loading.js';
import type { Scenario } from './scenario.js';
import { DELETE_SNAPSHOT_SCENARIOS, SNAPSHOT_SCENARIOS } from './snapshot-scenarios.js';
import type { Yard } from './yard.js';

const [chained] = DELETE_SNAPSHOT_SCENARIOS;

describe.each(CONFIGURATIONS)('$durability, extent table $useExtentTable', (configuration) => {
  it('a clean load that fails can be tried again', () => {
    expect(failOpening(unloaded(chained, configuration), configuration, load)).toEqual([]);
  });

  it('a recovery of a clean store that fails can be tried again', () => {
    expect(failOpening(unloaded(chained, configuration), configuration, recoverAnyway)).toEqual([]);
  });

  it('a failed recovery after a power cut anywhere in a snapshot can be tried again', () => {
    expect(recoverWrecks(SNAPSHOT_SCENARIOS[3])).toEqual([]);
  });

  it('a failed recovery after a power cut anywhere in the deletion of a snapshot can be tried again', () => {
    expect(recoverWrecks(chained)).toEqual([]);
    expect(recoverWrecks(DELETE_SNAPSHOT_SCENARIOS[5])).toEqual([]);
  });

  it('an unload that fails loses nothing: the next load finds all', () => {
    expect(failUnloading(chained, configuration, (yard) => [yard.oracle])).toEqual([]);
  });

  it('an unload finishes a deletion that had failed half way', () => {
    const unfinished = (yard: Yard) => {
      yard.device.failAt(3, { times: 1000 });
      failureOf(() => runSync(yard.store.deleteBlob(yard.id('thin bystander'))));
      yard.device.clearFaults();
      const without = yard.oracle.copy();
      without.blobs.delete(yard.id('thin bystander'));
      return [yard.oracle, without];
    };
    expect(failUnloading(CREATE_SCENARIOS[0], configuration, unfinished)).toEqual([]);
  });

  it('a failed grow of an unloaded store can be tried again, and a load finds the old or the new size', () => {
    const { medium, allowed } = unloaded(chained, configuration);
    const { blockLengthBytes, clusterBytes } = configuration;
    medium.resize(medium.blockCount + (5 * clusterBytes) / blockLengthBytes);
    const grown = allowed[0].copy();
    grown.clusterCount += 5;
    expect(failOpening({ medium, allowed: [...allowed, grown] }, configuration, grow)).toEqual([]);
  });

  function recoverWrecks(scenario: Scenario): string[] {
    return wrecksOf(scenario, configuration).flatMap((wreck, index) =>
      failOpening(wreck, configuration, load, 1 + (index % 2), 2).map(
        (problem) => `power cut ${index + 1}, then ${problem}`,
      ),
    );
  }
});

it('a failed recovery after a power cut in operations on large blobs can be tried again', () => {
  const [configuration] = CONFIGURATIONS;
  const large = [...RESIZE_SCENARIOS, ...DELETE_SNAPSHOT_SCENARIOS].filter((scenario) => scenario.sizes === LARGE);
  for (const scenario of large) {
    const whole = { ...configuration, ...LARGE };
    for (const [index, wreck] of wrecksOf(scenario, whole).entries()) {
      expect(failOpening(wreck, whole, load, 1 + (index % 7), 7)).toEqual([]);
    }
  }
});
