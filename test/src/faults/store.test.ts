import { describe, expect, it } from 'vitest';
import { STORE_SCENARIOS } from './store-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Super block and growing, failing at each device operation in turn', () => {
  it.each(STORE_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
