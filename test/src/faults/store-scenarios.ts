/** Operations on a store as a whole that leave it open: the super blob, growing. */

import { bystanders } from './blob-scenarios.js';
import { type Scenario, scenario } from './scenario.js';
import type { Yard } from './yard.js';

/** Clusters that the device becomes longer by. */
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
