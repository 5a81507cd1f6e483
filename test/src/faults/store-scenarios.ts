/** Scenarios with operations on the open store: setting the super blob, and growing. */

import { bystanders } from './blob-scenarios.js';
import { type Scenario, scenario } from './scenario.js';
import type { Yard } from './yard.js';

/** The number of clusters by which the device becomes longer. */
const ADDED_CLUSTERS = 7;

function lengthenDevice(yard: Yard): void {
  const { blockLengthBytes, clusterBytes, clusterCount } = yard.configuration;
  yard.medium.resize(((clusterCount + ADDED_CLUSTERS) * clusterBytes) / blockLengthBytes);
}

export const STORE_SCENARIOS: readonly Scenario[] = [
  scenario({
    name: 'set the super blob',
    prepare: bystanders,
    *run(yard) {
      yield* yard.store.setSuper(yard.id('thick bystander'));
      return undefined;
    },
    apply(oracle, yard) {
      oracle.superBlob = yard.id('thick bystander');
    },
    isLasting: true,
  }),
  scenario({
    name: 'grow live',
    isLasting: true,
    prepare: bystanders,
    *change(yard) {
      lengthenDevice(yard);
      yield undefined;
    },
    *run(yard) {
      yield* yard.store.growLive();
      return undefined;
    },
    apply(oracle) {
      oracle.clusterCount += ADDED_CLUSTERS;
    },
  }),
];
