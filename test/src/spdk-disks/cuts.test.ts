/**
 * The process is killed before each device write of each operation. SPDK must be able to open the disk then. Its rules
 * are in `spdk-rules.ts`; docs/WRITE-ORDER.md says where one of them cannot be kept, and why.
 */

import { runSync } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import {
  CREATE_SCENARIOS,
  DELETE_SCENARIOS,
  RESIZE_SCENARIOS,
  SYNC_SCENARIOS,
  UNMAP_SCENARIOS,
  WRITE_SCENARIOS,
} from '../faults/blob-scenarios.js';
import { CONFIGURATIONS } from '../faults/configurations.js';
import type { Scenario } from '../faults/scenario.js';
import {
  CLONE_SCENARIOS,
  COPY_ON_WRITE_SCENARIOS,
  DELETE_SNAPSHOT_SCENARIOS,
  INDEPENDENCE_SCENARIOS,
  SNAPSHOT_SCENARIOS,
} from '../faults/snapshot-scenarios.js';
import { type Configuration, Yard } from '../faults/yard.js';
import { brokenRules, type Rule } from './spdk-rules.js';

/** Operations that change no snapshot. */
const OPERATIONS: readonly Scenario[] = [
  ...CREATE_SCENARIOS,
  ...RESIZE_SCENARIOS,
  ...SYNC_SCENARIOS,
  ...DELETE_SCENARIOS,
  ...WRITE_SCENARIOS,
  ...UNMAP_SCENARIOS,
  ...CLONE_SCENARIOS,
  ...INDEPENDENCE_SCENARIOS,
  ...COPY_ON_WRITE_SCENARIOS,
];

/** Operations that make or delete a snapshot. */
const ON_SNAPSHOTS: readonly Scenario[] = [...SNAPSHOT_SCENARIOS, ...DELETE_SNAPSHOT_SCENARIOS];

/** Kills a process before the k-th write of an operation, k = 1, 2, 3…, and after it. Returns the broken rules. */
function brokenByKills(scenario: Scenario, configuration: Configuration): { kills: number; broken: Set<Rule> } {
  const broken = new Set<Rule>();
  for (let k = 1; ; k++) {
    const yard = new Yard({ ...configuration, ...scenario.sizes });
    runSync(yard.init());
    runSync(scenario.prepare(yard));
    runSync(yard.store.flush());
    if (scenario.change) runSync(scenario.change(yard));
    yard.device.cutPowerAt(k, { writes: 'drop' });
    runSync(scenario.run(yard));
    for (const rule of brokenRules(yard.medium)) broken.add(rule);
    if (yard.device.isPowered) return { kills: k, broken };
  }
}

function cases(scenarios: readonly Scenario[]): [string, Scenario, Configuration][] {
  return scenarios.flatMap((scenario) =>
    CONFIGURATIONS.filter((configuration) => scenario.suits?.(configuration) ?? true).map(
      (configuration): [string, Scenario, Configuration] => {
        const map = configuration.useExtentTable ? 'extent pages' : 'runs';
        return [`${scenario.name}, ${configuration.durability}, ${map}`, scenario, configuration];
      },
    ),
  );
}

describe('SPDK can open the disk of a process that was killed at any write', () => {
  it.each(cases(OPERATIONS))('%s', (_, scenario, configuration) => {
    const { kills, broken } = brokenByKills(scenario, configuration);
    expect([...broken]).toEqual([]);
    expect(kills).toBeGreaterThan(1);
  });

  it.each(cases(ON_SNAPSHOTS))('%s', (_, scenario, configuration) => {
    const { kills, broken } = brokenByKills(scenario, configuration);
    broken.delete('removed clone'); // cannot be kept for a snapshot that is itself a clone, by any order of writes
    expect([...broken]).toEqual([]);
    expect(kills).toBeGreaterThan(1);
  });
});
