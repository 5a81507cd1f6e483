/** Making snapshots and clones, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { CLONE_SCENARIOS, SNAPSHOT_SCENARIOS } from './snapshot-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Making a snapshot or a clone loses nothing when any of its device operations fails:', () => {
  it.each([...SNAPSHOT_SCENARIOS, ...CLONE_SCENARIOS].map((scenario) => [scenario.name, scenario] as const))(
    '%s',
    (_, scenario) => {
      const { hits, problems } = sweepScenario(scenario);
      expect(problems).toEqual([]);
      expect(hits).toBeGreaterThan(0);
    },
  );
});
