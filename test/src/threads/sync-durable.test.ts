/** A loop that never returns to its event loop opens blobs, writes and flushes; then its process is killed. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openStore } from 'blobyard';
import { expect, test } from 'vitest';
import { temporaryFile } from './support.js';
import { CLUSTER, ROUNDS, round } from './sync-child.js';

const CHILD = fileURLToPath(new URL('../../dist/threads/sync-child.js', import.meta.url));

test.each(['opener', 'attached'])('synchronous writes that were flushed (%s) are there after a kill', async (who) => {
  const path = await temporaryFile();
  const child = spawn(process.execPath, [CHILD, path, who], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
  const expected = new Map<string, Uint8Array>();
  for (let number = 0; number < ROUNDS; number++) {
    const { name, data, offset } = round(number);
    const content = expected.get(name) ?? new Uint8Array(16 * CLUSTER);
    content.set(data, offset);
    expected.set(name, content);
  }
  const store = await openStore({ device: { kind: 'file', path } });
  for (const [name, content] of expected) {
    const blob = await store.open({ name });
    expect(Buffer.compare(await blob.read(0, content.length), content), name).toBe(0);
  }
  await store.close();
});
