/** `blobyard dump`: the metadata of an image as text. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dumpStore, run } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { createStore } from '@blobyard/workers';
import { expect, test } from 'vitest';
import { newPath } from '../io/temp-folder.js';
import { blobyard, MAIN, staysSame } from './command.js';
import { CLUSTER, closedImage, damageBlob, damageMask, dirtyImage } from './images.js';

/** A text with one character per byte of its UTF-8: its control characters are escaped. */
function escaped(text: string): string {
  const decoded = Buffer.from(text, 'latin1').toString();
  const harmless = decoded.replace(/\p{Cc}/gu, (each) => `\\u{${each.charCodeAt(0).toString(16)}}`);
  return Buffer.from(harmless).toString('latin1');
}

test.each([closedImage, dirtyImage])(
  'dump prints the same text as the engine, but with control characters escaped',
  async (make) => {
    const { path, ids } = await make();
    damageBlob(path, ids.thick);
    const pieces: Buffer[] = [];
    const device = SparseMemoryDevice.fromBytes(readFileSync(path), { blockLengthBytes: 512 });
    const write = (text: string) => pieces.push(Buffer.from(text, 'latin1'));
    await run(dumpStore(device, write, (_, value) => escaped(Buffer.from(value).toString('latin1')), escaped));
    const isSame = staysSame(path, () => {
      const { status, stdout, stderr } = blobyard('dump', path);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toBe(Buffer.concat(pieces).toString());
      expect(stdout).toContain('(Mismatch)');
      expect(stdout).toContain('value = "red\\u{1b}[31m\\u{a}and more"');
    });
    expect(isSame).toBe(true);
  },
);

test('dump prints the part before a damaged one, then fails', async () => {
  const { path } = await closedImage();
  damageMask(path);
  const { status, stdout, stderr } = blobyard('dump', path);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^Signature: "SPDKBLOB" \(OK\)\n/);
  expect(stderr).toMatch(/^blobyard: EILSEQ: [^\n]*\n$/);
});

test('dump does not fail when its output is a closed pipe', async () => {
  const path = newPath();
  const device = { kind: 'file', path, create: true, sizeBytes: 4096 * CLUSTER } as const;
  const store = await createStore({ device, clusterSizeBytes: CLUSTER });
  for (let at = 0; at < 500; at++) await (await store.create({ name: `blob ${at}` })).close();
  await store.close();
  const child = spawn(process.execPath, [MAIN, 'dump', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const closed = once(child, 'close');
  await once(child.stdout, 'readable');
  child.stdout.destroy();
  expect(await closed).toEqual([0, null]);
  expect(said).toBe('');
});
