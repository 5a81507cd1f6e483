/** Power cuts of a device with a volatile write cache, which may lose any of the unflushed writes. */

import { describe, expect, it } from 'vitest';
import {
  CREATE_SCENARIOS,
  DELETE_SCENARIOS,
  RESIZE_SCENARIOS,
  SYNC_SCENARIOS,
  WRITE_SCENARIOS,
} from './blob-scenarios.js';
import { CONFIGURATIONS } from './configurations.js';
import { type Scenario, scenario } from './scenario.js';
import {
  CLONE_SCENARIOS,
  COPY_ON_WRITE_SCENARIOS,
  DELETE_SNAPSHOT_SCENARIOS,
  INDEPENDENCE_SCENARIOS,
  SNAPSHOT_SCENARIOS,
} from './snapshot-scenarios.js';
import { STORE_SCENARIOS } from './store-scenarios.js';
import { Sweep } from './sweep.js';

const SCENARIOS = [
  ...CREATE_SCENARIOS,
  ...RESIZE_SCENARIOS,
  ...SYNC_SCENARIOS,
  ...DELETE_SCENARIOS,
  ...SNAPSHOT_SCENARIOS,
  ...CLONE_SCENARIOS,
  ...INDEPENDENCE_SCENARIOS,
  ...DELETE_SNAPSHOT_SCENARIOS,
  ...STORE_SCENARIOS,
  ...[...WRITE_SCENARIOS, ...COPY_ON_WRITE_SCENARIOS].map(flushed),
  firstWriteOfStore(),
].filter(({ changesInPlace }) => !changesInPlace);
const POWER_LOSS = CONFIGURATIONS.filter(({ durability }) => durability === 'power-loss');

/** A first write and a flush as one operation: after a power cut all of it is there, or nothing. */
function flushed(write: Scenario): Scenario {
  return scenario({
    ...write,
    name: `${write.name}, and flush`,
    isDurable: undefined,
    *run(yard) {
      yield* write.run(yard);
      yield* yard.store.flush();
      return undefined;
    },
  });
}

/** A scenario that writes the first high-water marks, which must be on the medium before a cluster has data. */
function firstWriteOfStore(): Scenario {
  return scenario({
    name: 'the first write of an opened store',
    *prepare(yard) {
      yield* yard.create('a', { clusters: 4, isThin: true });
      yield* yard.reopen();
      yield* yard.open('a');
    },
    *run(yard) {
      yield* yard.writeOnly('a', 0, yard.payload(1, 77));
      return undefined;
    },
    apply: (oracle, yard) => yard.wrote(yard.id('a'), 0, yard.payload(1, 77), oracle),
    isDurable: () => false,
  });
}

describe('A power cut of a device with a volatile cache leaves an allowed state, whichever unflushed writes are lost:', () => {
  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    for (const configuration of scenario.sizes ? POWER_LOSS.slice(0, 1) : POWER_LOSS) {
      const sweep = new Sweep(scenario, { ...configuration, hasVolatileCache: true }).cutCached();
      expect(sweep.problems).toEqual([]);
      expect(sweep.hits).toBeGreaterThan(1);
    }
  });
});
