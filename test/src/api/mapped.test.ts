/** A store on a file with `mmap: true`: each thread that reads its blobs maps the file, and lets go of it in the end. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadMmap } from '../../../packages/io/dist/mapped-file.js';
import {
  bytes,
  CLUSTER,
  createStore,
  expectSame,
  isAttached,
  isPooled,
  MiB,
  openStore,
  temporaryFolder,
} from './support.js';

function mappings(file: string): number {
  return readFileSync('/proc/self/maps', 'utf8').split(file).length - 1;
}

test.runIf(loadMmap() !== undefined)('a store on a mapped file', async () => {
  const file = path.join(await temporaryFolder(), 'yard.img');
  const device = { kind: 'file', path: file, mmap: true } as const;
  const made = await createStore({
    device: { ...device, create: true, sizeBytes: 16 * MiB },
    clusterSizeBytes: CLUSTER,
  });
  const expected = bytes(8 * CLUSTER, 3);
  const blob = await made.create({ name: 'one', sizeBytes: 8 * CLUSTER, thin: true });
  await blob.write(expected, 0);
  expectSame(await blob.read(0, 8 * CLUSTER), expected);
  await blob.snapshot({ name: 'before' });
  expected.fill(9, 1000, 3 * CLUSTER);
  await blob.write(expected.subarray(1000, 3 * CLUSTER), 1000);
  expectSame(await blob.read(0, 8 * CLUSTER), expected);
  await blob.trim(CLUSTER, CLUSTER);
  await made.close();
  expect(mappings(file)).toBe(0);

  const store = await openStore({ device });
  const again = await store.open({ name: 'one' });
  expectSame((await again.read(2 * CLUSTER, 6 * CLUSTER)).subarray(), expected.subarray(2 * CLUSTER));
  expect(mappings(file)).toBeGreaterThanOrEqual(1);
  if (isAttached || !isPooled) {
    const buffer = new Uint8Array(700);
    again.readSync(2 * CLUSTER + 5, buffer);
    expectSame(buffer, expected.subarray(2 * CLUSTER + 5, 2 * CLUSTER + 705));
  }
  await store.close();
  expect(mappings(file)).toBe(0);
});
