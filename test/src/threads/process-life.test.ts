/** An open store does not keep a process alive that has nothing else to do; an operation under way does. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const CHILD = new URL('../../dist/threads/life-child.js', import.meta.url);

test.each([
  ['opens and ends', 'open'],
  ['uses and ends', '49'],
  ['is kept alive by its store', 'closed'],
  ['is kept alive by its inline store', 'closed'],
  ['leaves a read under way', 'read'],
  ['leaves a metadata operation under way', 'created'],
  ['leaves opening under way', 'open'],
  ['leaves closing under way', 'closed'],
  ['cannot replace its worker', 'refused'],
  ['opens again and again', 'five times'],
])('a program that %s', async (program, said) => {
  const { stdout, stderr } = await run(process.execPath, [fileURLToPath(CHILD), program], { timeout: 30_000 });
  expect([stdout.trim(), stderr]).toEqual([said, '']);
});

test('a program given on the command line works, with options of Node.js that threads do not accept', async () => {
  const program = `process.argv[2] = 'uses and ends'; await import(${JSON.stringify(CHILD.href)})`;
  for (const options of [[], ['--expose-gc', '--title=yard']]) {
    const given = [...options, '--input-type=module', '-e', program, 'argument'];
    expect((await run(process.execPath, given, { timeout: 30_000 })).stdout.trim()).toBe('49');
    const fromFile = [...options, fileURLToPath(CHILD), 'uses and ends'];
    expect((await run(process.execPath, fromFile, { timeout: 30_000 })).stdout.trim()).toBe('49');
  }
});
