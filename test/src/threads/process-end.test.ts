/** The end of processes with attached threads: they end by themselves when all threads are idle, and not earlier. */

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

test('an idle attached thread ends by itself, and then the process ends', async () => {
  expect(await outputOf('idle')).toEqual(['allocated 0']);
});

test('a process ends even if its store is not closed', async () => {
  expect(await outputOf('store left open')).toEqual(['allocated 0']);
});

test('a thread does not end before its operations in promise form have ended', async () => {
  expect(await outputOf('writing')).toEqual(['all written', 'allocated 50']);
});

test('a process whose main thread is attached does not end before its operations in promise form have ended', async () => {
  expect(await outputOf('main thread')).toEqual(['all written']);
});
