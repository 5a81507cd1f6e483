/** Syncing and closing a blob, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { SYNC_SCENARIOS } from './blob-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Syncing and closing lose nothing when any of their device operations fails:', () => {
  it.each(SYNC_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
