/** `blobyard check`: its report, its exit status, and its repairs. */

import { truncateSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { newPath } from '../io/temp-folder.js';
import { blobyard, staysSame } from './command.js';
import { closedImage, damageBlob, damageMask, dirtyImage, editSuper, makeStore } from './images.js';

const MiB = 1024 * 1024;

/** Expects that a check, as text and as JSON, ends with a status and does not change the image. */
function expectChecked(path: string, status: number, text: RegExp): Record<string, unknown> {
  let report: Record<string, unknown> = {};
  const isSame = staysSame(path, () => {
    const forPeople = blobyard('check', path);
    expect(forPeople.stdout).toMatch(text);
    expect([forPeople.status, forPeople.stderr]).toEqual([status, '']);
    const forPrograms = blobyard('check', '--json', path);
    expect([forPrograms.status, forPrograms.stderr]).toEqual([status, '']);
    report = JSON.parse(forPrograms.stdout);
  });
  expect(isSame).toBe(true);
  return report;
}

test.each([512, 4096])('a store that was closed is clean, with io units of %d bytes', async (ioUnitBytes) => {
  const { path } = await closedImage(ioUnitBytes);
  const report = expectChecked(path, 0, /^Nothing is wrong: 4 blobs with 7 clusters and \d+ metadata pages; /);
  expect(report).toMatchObject({
    image: path,
    outcome: 'clean',
    findings: [],
    summary: { blobCount: 4, wasClean: true },
  });
  expect(staysSame(path, () => expect(blobyard('check', '--repair', path).status).toBe(0))).toBe(true);
});

test.each([512, 4096])('a store that was not closed gets a note, with io units of %d bytes', async (ioUnitBytes) => {
  const { path } = await dirtyImage(ioUnitBytes);
  const report = expectChecked(path, 0, /^note: the store was not closed[^\n]*\nNothing is wrong: /);
  expect(report).toMatchObject({ outcome: 'clean', findings: [{ kind: 'not-closed', outcome: 'found' }] });
  const { status, stdout, stderr } = blobyard('check', '--repair', path);
  expect([status, stderr]).toEqual([1, '']);
  expect(stdout).toMatch(/^note \(repaired\): [^\n]*\nRepaired: 1 finding\. /);
  expectChecked(path, 0, /^Nothing is wrong: /);
});

test('a damaged mask is repaired', async () => {
  const { path } = await closedImage();
  damageMask(path);
  expectChecked(
    path,
    2,
    /^damage: [^\n]*mask[\s\S]*\nDamaged: \d+ findings?; run check --repair to repair what can be repaired\. /,
  );
  const { status, stdout } = blobyard('check', '--repair', '--json', path);
  expect(status).toBe(1);
  expect(JSON.parse(stdout).outcome).toBe('repaired');
  expectChecked(path, 0, /^Nothing is wrong: /);
});

test('a damaged blob is reported and not repaired', async () => {
  const { path, ids } = await closedImage();
  damageBlob(path, ids.thick);
  const { findings } = expectChecked(path, 2, /^damage: /) as { findings: Record<string, unknown>[] };
  expect(findings.some(({ severity }) => severity === 'damage')).toBe(true);
  expect(blobyard('check', path).stdout).toMatch(
    /\nDamaged: \d+ findings?; this cannot be repaired without losing something\. /,
  );
  for (const { blobId } of findings) expect(['string', 'undefined']).toContain(typeof blobId);
  const { status, stdout } = blobyard('check', '--repair', path);
  expect(stdout).toMatch(/^damage \(left\): /m);
  expect(status).toBe(2);
});

test('an image without a store is reported as unchecked, not as damaged', () => {
  const path = newPath();
  writeFileSync(path, '');
  expectChecked(path, 2, /^note: the device has 0 bytes[^\n]*\nNot checked: there is no store here\.\n$/);
  truncateSync(path, 2 * MiB);
  const report = expectChecked(path, 2, /^note: the device holds no blobstore signature[^\n]*\nNot checked: /);
  expect(report).toMatchObject({ outcome: 'unchecked', summary: null, repairable: false });
  expect(staysSame(path, () => expect(blobyard('check', '--repair', path).status).toBe(2))).toBe(true);
});

test('a newer version is not reported as damage, a damaged super block is; neither is repaired', async () => {
  const { path } = await closedImage();
  editSuper(path, (bytes) => bytes.set([4], 8));
  expectChecked(path, 2, /^note: [^\n]* version 4; [^\n]*\nNot checked: this version cannot read the store\.\n$/);
  expect(staysSame(path, () => expect(blobyard('check', '--repair', path).status).toBe(2))).toBe(true);
  editSuper(path, (bytes) => bytes.set([3], 8));
  editSuper(path, (bytes) => bytes.set([1], 200), false);
  const report = expectChecked(
    path,
    2,
    /^damage: the super block is damaged[^\n]*\nDamaged: 1 finding; without its super block /,
  );
  expect(report).toMatchObject({ outcome: 'left', summary: null, repairable: false });
  expect(staysSame(path, () => expect(blobyard('check', '--repair', path).status).toBe(2))).toBe(true);
});

test('the exit status for an image that cannot be read is the one for remaining damage', async () => {
  const { store, path } = await makeStore();
  for (const args of [[path], ['--repair', path], ['--json', path]]) {
    const { status, stdout, stderr } = blobyard('check', ...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(new RegExp(`^blobyard: EBUSY: [^\\n]* process ${process.pid} since [^\\n]*\\n$`));
  }
  await store.close();
  for (const args of [[newPath()], ['--repair', newPath()]]) {
    const { status, stderr } = blobyard('check', ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^blobyard: ENOENT: there is no file [^\n]*\n$/);
  }
});
