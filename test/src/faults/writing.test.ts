/** Writing, while the device fails at each operation in turn. */

import { describe, expect, it } from 'vitest';
import { WRITE_SCENARIOS } from './blob-scenarios.js';
import { COPY_ON_WRITE_SCENARIOS } from './snapshot-scenarios.js';
import { sweepScenario } from './sweep.js';

describe('Writing loses nothing else when any of its device operations fails:', () => {
  it.each([...WRITE_SCENARIOS, ...COPY_ON_WRITE_SCENARIOS].map((scenario) => [scenario.name, scenario] as const))(
    '%s',
    (_, scenario) => {
      const { hits, problems } = sweepScenario(scenario);
      expect(problems).toEqual([]);
      expect(hits).toBeGreaterThan(0);
    },
  );
});
