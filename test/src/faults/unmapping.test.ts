import { describe, expect, it } from 'vitest';
import { UNMAP_SCENARIOS } from './blob-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Unmapping, failing at each device operation in turn', () => {
  it.each(UNMAP_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
