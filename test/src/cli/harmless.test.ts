/**
 * Text from an image is not trusted: the output must not contain its control characters, which a terminal would obey.
 */

import { run } from '@blobyard/core';
import { createStore } from '@blobyard/workers';
import { expect, test } from 'vitest';
import { newPath } from '../io/temp-folder.js';
import { blobyard } from './command.js';
import { CLUSTER, damageBlob, damageMask } from './images.js';

/** Escape sequences (7-bit and 8-bit), a window title, a bell, direction marks, line separators, a delete character. */
const EVIL = 'a\u001b[2J\u009b31m\u001b]0;t\u0007\u202egnp.exe\u2066\u200f\u2028\u2029\u007f\u0085\r\nb';
const OBEYED = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** An image in which all text contains control characters. */
async function evilImage(): Promise<{ path: string; id: bigint }> {
  const path = newPath();
  const device = { kind: 'file', path, create: true, sizeBytes: 256 * CLUSTER } as const;
  const bstype = 'T\u001b[1m\u0007\u0085\u200e';
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, bstype, openExternalSnapshot: () => null });
  const blob = await store.create({ name: EVIL, sizeBytes: CLUSTER, xattrs: { [`k${EVIL}`]: `v${EVIL}` } });
  await store.create({ name: 'over', sizeBytes: CLUSTER, thin: true, externalSnapshotId: `x${EVIL}` });
  const { id } = blob;
  await blob.snapshot({ name: `s${EVIL}`, xattrs: { raw: Uint8Array.of(0x9b, 0x33, 0x31, 0x6d, 0xff, 0x1b) } });
  await store.close();
  return { path, id };
}

function expectHarmless(path: string, ...commands: readonly string[]): void {
  for (const command of commands) {
    const { stdout, stderr } = blobyard(...command.split(' '), path);
    expect(stdout + stderr, command).not.toBe('');
    expect(stdout + stderr, command).not.toMatch(OBEYED);
  }
}

test('names, xattrs, types and ids of external snapshots are escaped by every command', async () => {
  const { path } = await evilImage();
  expectHarmless(path, 'ls', 'ls -l', 'ls --json', 'info', 'check');
  const dump = blobyard('dump', path).stdout;
  expect(dump).not.toMatch(OBEYED);
  expect(dump).toContain('Blobstore Type: T\\u{1b}[1m\\u{7}\\u{85}\\u{200e}\n');
  expect(dump).toContain('name = "ka\\u{1b}[2J\\u{9b}31m');
  expect(dump).toContain('value = "va\\u{1b}[2J\\u{9b}31m');
  expect(dump).toContain('9b 33 31 6d ff 1b'); // all bytes are shown in hexadecimal
  const { blobs } = JSON.parse(blobyard('ls', '--json', path).stdout);
  expect(blobs[0].name).toBe(EVIL);
});

test('control characters are also escaped in messages about damage', async () => {
  const { path, id } = await evilImage();
  damageBlob(path, id);
  expectHarmless(path, 'ls', 'info', 'check --json', 'dump');
  damageMask(path);
  expectHarmless(path, 'info --json', 'check', 'dump');
});

test('text in other languages is printed unchanged', async () => {
  const path = newPath();
  const device = { kind: 'file', path, create: true, sizeBytes: 256 * CLUSTER } as const;
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, bstype: 'größe' });
  await (await store.create({ name: 'größe-日本-é 🗄', xattrs: { schlüssel: 'wert ✓' } })).close();
  await run(store.engine.blobstore.abandon());
  await store.close();
  const { stdout } = blobyard('dump', path);
  for (const text of ['Type: größe\n', '"größe-日本-é 🗄"', '"schlüssel"', '"wert ✓"']) expect(stdout).toContain(text);
});
