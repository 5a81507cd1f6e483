/** Deleting a snapshot, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { DELETE_SNAPSHOT_SCENARIOS } from './snapshot-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Deleting a snapshot loses nothing when any of its device operations fails:', () => {
  it.each(DELETE_SNAPSHOT_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
