/** The help, the version, and wrong arguments of the command `blobyard`. */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { blobyard } from './command.js';

const COMMANDS = ['info', 'ls', 'dump', 'check'];

test('the command prints its version', () => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../../packages/blobyard/package.json', import.meta.url), 'utf8'),
  );
  expect(blobyard('--version')).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
});

test('the command prints its help', () => {
  const { status, stdout, stderr } = blobyard('--help');
  expect([status, stderr]).toEqual([0, '']);
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
});

test.each(COMMANDS)('the command prints the help of %s, with an example', (command) => {
  const { status, stdout, stderr } = blobyard(command, '--help');
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(new RegExp(`^Usage: blobyard ${command} `));
  expect(stdout).toMatch(new RegExp(`Examples?:\\n  blobyard ${command} `));
});

test.each([
  [[], /Usage: blobyard/],
  [['nonsense'], /unknown command 'nonsense'/],
  [['--nonsense'], /unknown option '--nonsense'/],
  [['info'], /missing required argument 'image'/],
  [['check'], /missing required argument 'image'/],
  [['ls', 'a', 'b'], /too many arguments/],
  [['check', '--repare', 'a'], /unknown option '--repare'/],
])('wrong usage has its own exit status: %j', (args, reason) => {
  const { status, stdout, stderr } = blobyard(...args);
  expect([status, stdout]).toEqual([64, '']);
  expect(stderr).toMatch(reason);
});
