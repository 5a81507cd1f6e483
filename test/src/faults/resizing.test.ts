/** Resizing a blob, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { RESIZE_SCENARIOS } from './blob-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Resizing a blob loses nothing when any of its device operations fails:', () => {
  it.each(RESIZE_SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', (_, scenario) => {
    const { hits, problems } = sweepScenario(scenario);
    expect(problems).toEqual([]);
    expect(hits).toBeGreaterThan(0);
  });
});
