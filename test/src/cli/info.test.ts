/** `blobyard info`: the facts of a store. */

import { describe, expect, test } from 'vitest';
import { blobyard, staysSame } from './command.js';
import { CLUSTER, closedImage, damageBlob, damageMask, dirtyImage } from './images.js';

function infoOf(path: string): Record<string, unknown> {
  const { status, stdout, stderr } = blobyard('info', '--json', path);
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
}

describe.each([512, 4096])('info prints the facts of a store with io units of %d bytes', (ioUnitBytes) => {
  test.each([
    ['that was closed', closedImage, true],
    ['that was not closed', dirtyImage, false],
  ])('%s', async (_, make, wasClean) => {
    const { path, ids } = await make(ioUnitBytes);
    const isSame = staysSame(path, () => {
      const info = infoOf(path);
      expect(info).toMatchObject({
        image: path,
        version: 3,
        type: 'TEST',
        wasClean,
        maskDamage: null,
        imageBytes: 256 * CLUSTER,
        storeBytes: 256 * CLUSTER,
        clusterBytes: CLUSTER,
        ioUnitBytes,
        clusters: 256,
        usedClusters: 7,
        usedBytes: 7 * CLUSTER,
        mdPages: 256,
        blobs: 4,
        snapshots: 1,
        clones: 2,
        superBlob: String(ids.disk),
        damaged: [],
      });
      expect(info.freeClusters).toBe(256 - 7 - Number(info.metadataClusters));
      expect(info.mdPagesUsed).toBeGreaterThan(4);
    });
    expect(isSame).toBe(true);
  });
});

test('info prints text for people without --json', async () => {
  const { path, ids } = await dirtyImage();
  const { status, stdout } = blobyard('info', path);
  expect(status).toBe(0);
  expect(stdout).toContain('Store:          blobstore, version 3, of type TEST\n');
  expect(stdout).toContain('State:          not closed');
  expect(stdout).toContain('Store size:     4 MiB (4194304 bytes)\n');
  expect(stdout).toContain('Blobs:          4 (1 snapshot, 2 clones)\n');
  expect(stdout).toContain(`Super blob:     ${ids.disk}\n`);
});

test('info lists the damaged blobs', async () => {
  const { path, ids } = await closedImage();
  damageBlob(path, ids.disk);
  const isSame = staysSame(path, () => {
    const { blobs, damaged } = infoOf(path);
    expect(blobs).toBe(3);
    expect(damaged).toEqual([{ id: String(ids.disk), code: 'EILSEQ', message: expect.stringContaining('crc') }]);
    expect(blobyard('info', path).stdout).toMatch(/^Damaged blobs: +1\n +EILSEQ: /m);
  });
  expect(isSame).toBe(true);
});

test('info counts the used clusters from the metadata pages when the masks are damaged', async () => {
  const { path } = await closedImage();
  const whole = infoOf(path);
  damageMask(path);
  const isSame = staysSame(path, () => {
    const { maskDamage, ...info } = infoOf(path);
    expect(maskDamage).toMatch(/mask/);
    expect({ ...info, maskDamage: null }).toEqual(whole);
    expect(blobyard('info', path).stdout).toMatch(/^State: +closed, but its masks are damaged/m);
  });
  expect(isSame).toBe(true);
});
