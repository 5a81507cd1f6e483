/** Setting the super blob and growing the open store, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { STORE_SCENARIOS } from './store-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Setting the super blob and growing lose nothing when any of their device operations fails:', () => {
  it.each(STORE_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
