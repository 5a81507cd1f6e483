/** Unmapping, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { UNMAP_SCENARIOS } from './blob-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Unmapping loses nothing else when any of its device operations fails:', () => {
  it.each(UNMAP_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
