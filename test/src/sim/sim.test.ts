/** Some seeds of `npm run sim`, one of them twice, and each fault with the seed that is known to find it. */

import { describe, expect, test } from 'vitest';
import { runCommandOf } from '../run-command.js';
import { MUTATIONS } from './mutations.js';
import { playSeed } from './simulation.js';

const SEEDS = 1000;
const command = (...args: string[]) => runCommandOf('sim/main.js', args);

test(`${SEEDS} seeds find nothing`, { timeout: 600_000 }, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { finding } = await playSeed(seed);
    if (finding !== undefined) expect.unreachable(`npm run sim -- --seeds 1 --start ${seed}: ${finding}`);
  }
});

test('a seed plays the same each time', async () => {
  const hashes = new Set<number>();
  for (let seed = 1; seed <= 20; seed++) {
    const { hash } = await playSeed(seed);
    expect((await playSeed(seed)).hash).toBe(hash);
    hashes.add(hash);
  }
  expect(hashes.size).toBe(20);
});

const KNOWN = MUTATIONS.flatMap(({ name, caughtBy }): [string, number][] =>
  caughtBy === undefined ? [] : [[name, caughtBy]],
);

describe.concurrent('a fault is found', () => {
  test.each(KNOWN)('%s by seed %i', { timeout: 300_000 }, async (name, seed) => {
    const { code, stdout } = await command('--without', name, '--start', String(seed), '--seeds', '1');
    expect(stdout).toMatch(`Seed ${seed}: `);
    expect(stdout).toMatch(`npm run sim -- --seeds 1 --start ${seed} --without ${name}`);
    expect(code).toBe(1);
  });
});

test('each snippet that a fault replaces is in its file exactly once', { timeout: 300_000 }, async () => {
  for (const { name } of MUTATIONS.filter(({ caughtBy }) => caughtBy === undefined)) {
    const { code, stdout, stderr } = await command('--without', name, '--seeds', '1');
    expect([0, 1], `${name}: ${stdout}${stderr}`).toContain(code);
    expect(stdout, name).toMatch(/^1 seeds in /);
  }
});

test('the command lists the faults, and plays in several processes', { timeout: 300_000 }, async () => {
  expect((await command('--without', 'list')).stdout.split('\n').length).toBeGreaterThanOrEqual(MUTATIONS.length);
  const { code, stdout } = await command('--seeds', '16', '--jobs', '2');
  expect(stdout).toMatch(/^16 seeds in .* a second\nNothing was lost/);
  expect(code).toBe(0);
});
