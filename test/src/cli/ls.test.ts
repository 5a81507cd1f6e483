/** `blobyard ls`: the list of blobs. */

import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { createStore } from '@blobyard/workers';
import { expect, test } from 'vitest';
import { treeLines } from '../../../packages/blobyard/dist/cli/blob-tree.js';
import { newPath } from '../io/temp-folder.js';
import { blobyard, staysSame } from './command.js';
import { CLUSTER, closedImage, damageBlob, dirtyImage, EVIL_NAME } from './images.js';

test.each([closedImage, dirtyImage])('ls shows clones below their snapshots', async (make) => {
  const { path, ids } = await make();
  const isSame = staysSame(path, () => {
    expect(blobyard('ls', path)).toEqual({
      status: 0,
      stderr: '',
      stdout: [
        'ID          SIZE     ALLOCATED  NAME',
        `${ids.snapshot}  256 KiB  64 KiB     before`,
        `${ids.disk}  256 KiB  16 KiB     ├─ disk`,
        `${ids.clone}  256 KiB  0 bytes    └─ red\\u{1b}[31m\\u{a}and more`,
        `${ids.thick}  32 KiB   32 KiB     -`,
        '',
      ].join('\n'),
    });
  });
  expect(isSame).toBe(true);
});

test('ls --long prints all properties of each blob', async () => {
  const { path, ids } = await closedImage();
  const { status, stdout } = blobyard('ls', '--long', path);
  expect(status).toBe(0);
  const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
  expect(rows.slice(0, -1)).toEqual([
    ['ID', 'SIZE', 'ALLOCATED', 'SPACE', 'ACCESS', 'KIND', 'CLONE OF', 'NAME'],
    [`${ids.disk}`, '256 KiB', '16 KiB', 'thin', 'read-write', 'clone', `${ids.snapshot}`, 'disk'],
    [`${ids.snapshot}`, '256 KiB', '64 KiB', 'thin', 'read-only', 'snapshot', '-', 'before'],
    [`${ids.clone}`, '256 KiB', '0 bytes', 'thin', 'read-write', 'clone', `${ids.snapshot}`, expect.any(String)],
    [`${ids.thick}`, '32 KiB', '32 KiB', 'thick', 'read-write', 'blob', '-', '-'],
  ]);
});

test('ls --json prints the properties of all blobs as one document', async () => {
  const { path, ids } = await dirtyImage();
  const { blobs, damaged } = JSON.parse(blobyard('ls', '--json', path).stdout);
  expect(damaged).toEqual([]);
  expect(blobs).toHaveLength(4);
  expect(blobs[1]).toMatchObject({
    id: String(ids.snapshot),
    name: 'before',
    sizeBytes: 16 * CLUSTER,
    allocatedBytes: 4 * CLUSTER,
    thin: true,
    readOnly: true,
    snapshot: true,
    clones: [String(ids.disk), String(ids.clone)],
    parentId: null,
  });
  expect(blobs[2]).toMatchObject({ name: EVIL_NAME, parentId: String(ids.snapshot) });
});

test('ls shows the id of a blob’s external snapshot, and does not open that snapshot', async () => {
  const path = newPath();
  const device = { kind: 'file', path, create: true, sizeBytes: 256 * CLUSTER } as const;
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, openExternalSnapshot: () => null });
  await store.create({ name: 'over', sizeBytes: CLUSTER, thin: true, externalSnapshotId: 'golden' });
  await store.close();
  expect(blobyard('ls', '-l', path).stdout).toMatch(/clone +external golden +over$/m);
  const { blobs } = JSON.parse(blobyard('ls', '--json', path).stdout);
  expect(blobs[0].externalSnapshotId).toBe(Buffer.from('golden').toString('hex'));
});

test('ls shows names of SPDK’s volumes without trailing zeroes', () => {
  const path = newPath();
  writeFileSync(path, gunzipSync(readFileSync(new URL('../../spdk-images/lvol/head-clean.img.gz', import.meta.url))));
  const { status, stdout, stderr } = blobyard('ls', path);
  expect([status, stderr]).toEqual([0, '']);
  const names = [
    'lvs-head',
    'thick0',
    'thin0-snap',
    '├─ thin0',
    '├─ clone-a',
    '└─ clone-b',
    'renamed-lvol',
    'größe-日本-é',
  ];
  const shown = stdout.split('\n').map((line) => line.split(/ {2,}/)[3]);
  for (const name of names) expect(shown).toContain(name);
});

test('ls omits damaged blobs, and says so', async () => {
  const { path, ids } = await closedImage();
  damageBlob(path, ids.snapshot);
  const isSame = staysSame(path, () => {
    const { status, stdout, stderr } = blobyard('ls', path);
    expect(status).toBe(0);
    expect(stdout).toContain(`${ids.thick}`);
    expect(stdout).not.toContain('before');
    const notes = [
      [ids.disk, 'which is not there'],
      [ids.snapshot, 'crc'],
      [ids.clone, 'which is not there'],
    ].map(([id, reason]) => expect.stringMatching(`^blobyard: note: blob ${id} is left out: EILSEQ: .*${reason}`));
    expect(stderr.split('\n')).toEqual([...notes, '']);
    const { damaged } = JSON.parse(blobyard('ls', '--json', path).stdout);
    expect(damaged).toContainEqual({ id: String(ids.snapshot), code: 'EILSEQ', message: expect.any(String) });
  });
  expect(isSame).toBe(true);
});

test('ls prints an empty list for a store without blobs', async () => {
  const path = newPath();
  const device = { kind: 'file', path, create: true, sizeBytes: 256 * CLUSTER } as const;
  await (await createStore({ device, clusterSizeBytes: CLUSTER })).close();
  expect(blobyard('ls', path)).toEqual({ status: 0, stdout: 'ID  SIZE  ALLOCATED  NAME\n', stderr: '' });
});

test('ls prints a tree as deep as the chain of snapshots', () => {
  const chain = Array.from({ length: 2000 }, (_, at) => ({
    id: BigInt(at),
    parentId: at === 0 ? undefined : BigInt(at - 1),
  }));
  const lines = treeLines(chain as unknown as Parameters<typeof treeLines>[0]);
  expect(lines.map(({ blob }) => blob.id)).toEqual(chain.map(({ id }) => id));
});
