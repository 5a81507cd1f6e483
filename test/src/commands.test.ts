/** Each command of this package prints its usage and refuses wrong options. What a command does is tested elsewhere. */

import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runCommandOf } from './run-command.js';

const TRACES = fileURLToPath(new URL('../traces', import.meta.url));
const THIS_FILE = fileURLToPath(import.meta.url);

interface Command {
  name: string;
  main: string;
  /** Wrong arguments, each with the beginning of the message that refuses them. */
  refused: readonly (readonly [args: readonly string[], reason: string])[];
}

const COMMANDS: readonly Command[] = [
  {
    name: 'sim',
    main: 'sim/main.js',
    refused: [
      [['--seeds', '0'], '--seeds 0: it must be a number from 1'],
      [['--start', 'x'], '--start x: it must be a number from 0'],
      [['--jobs', ''], '--jobs : it must be a number from 1'],
      [['--jobs', '1.5'], '--jobs 1.5: it must be a whole number'],
      [['--without', 'none'], '--without none: there is no such fault'],
    ],
  },
  {
    name: 'cuts',
    main: 'cuts/main.js',
    refused: [
      [['--seeds', '0'], '--seeds 0: it must be a number from 1'],
      [['--start', 'x'], '--start x: it must be a number from 0'],
      [['--disks', ''], '--disks : it must be a number from 1'],
      [['--without', 'none'], '--without none: there is no such fault'],
    ],
  },
  {
    name: 'stress',
    main: 'stress/main.js',
    refused: [
      [['--mode', 'none'], '--mode none: it must be attached or pool or mixed'],
      [['--threads', '0'], '--threads 0: it must be a number from 1 to 8'],
      [['--threads', '1.5'], '--threads 1.5: it must be a whole number'],
      [['--seconds', ''], '--seconds : it must be a number from 0.1'],
    ],
  },
  {
    name: 'torture',
    main: 'torture/main.js',
    refused: [
      [['--durability', 'none'], '--durability none: it must be power-loss or process-crash'],
      [['--threads', '9'], '--threads 9: it must be a number from 1 to 8'],
      [['--seed=-1'], '--seed -1: it must be a number from 0'],
    ],
  },
  {
    name: 'fuzz',
    main: 'damage/main.js',
    refused: [
      [['--jobs', '0'], '--jobs 0: it must be a number from 1 to 64'],
      [['--images', 'x'], '--images x: it must be a number from 0'],
    ],
  },
  {
    name: 'conformance',
    main: 'conformance/main.js',
    refused: [
      [['/no/such/folder'], 'There is no folder /no/such/folder.'],
      [[THIS_FILE], `${THIS_FILE} is no folder.`],
      [[], 'No folder is given.'],
      [['--engine', 'none', TRACES], "There is no engine 'none'."],
    ],
  },
];

describe.each(COMMANDS)('npm run $name', ({ name, main, refused }) => {
  test('prints its usage', async () => {
    const { code, stdout, stderr } = await runCommandOf(main, ['--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.startsWith(`Usage: npm run ${name} -- [`)).toBe(true);
  });

  test.each([...refused, [['--unknown'], "Unknown option '--unknown'"] as const])(
    'refuses %j',
    async (args, reason) => {
      const { code, stdout, stderr } = await runCommandOf(main, args);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr.slice(0, reason.length)).toBe(reason);
      expect(stderr).toContain(`\nUsage: npm run ${name}`);
    },
  );
});
