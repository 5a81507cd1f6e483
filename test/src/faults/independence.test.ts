/** Inflating and decoupling, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { INDEPENDENCE_SCENARIOS } from './snapshot-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Inflating and decoupling lose nothing when any of their device operations fails:', () => {
  it.each(INDEPENDENCE_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
