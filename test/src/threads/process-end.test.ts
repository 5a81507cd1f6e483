/** When processes end whose threads are attached: by themselves when all are idle, and not before promises are kept. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const CHILD = fileURLToPath(new URL('../../dist/threads/process-child.js', import.meta.url));

async function outputOf(scenario: string): Promise<string[]> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [CHILD, scenario], { timeout: 30_000 });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

test('a thread that is attached and idle ends by itself, and then the process', async () => {
  expect(await outputOf('idle')).toEqual(['allocated 0']);
});

test('a process ends whose store nobody closes', async () => {
  expect(await outputOf('store left open')).toEqual(['allocated 0']);
});

test('a thread does not end before its operations in promise form have', async () => {
  expect(await outputOf('writing')).toEqual(['all written', 'allocated 50']);
});

test('a process does not end before such operations have, when its main thread is what is attached', async () => {
  expect(await outputOf('main thread')).toEqual(['all written']);
});
