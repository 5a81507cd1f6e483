/** The CommonJS files, as Jest and Node before 20.19 load them: the same exports, and stores with and without threads. */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as index from 'blobyard';
import * as devices from 'blobyard/devices';
import * as engine from 'blobyard/engine';
import { expect, onTestFinished, test } from 'vitest';

const CJS = fileURLToPath(new URL('../../../packages/blobyard/dist/cjs/', import.meta.url));
const load = createRequire(CJS);

test('they export what the ES modules export, and each class once', () => {
  const [cjsIndex, cjsDevices, cjsEngine] = ['index', 'devices', 'engine'].map((name) => load(`./${name}.cjs`));
  expect(Object.keys(cjsIndex).sort()).toEqual(Object.keys(index).sort());
  expect(Object.keys(cjsDevices).sort()).toEqual(Object.keys(devices).sort());
  expect(Object.keys(cjsEngine).sort()).toEqual(Object.keys(engine).sort());
  expect(Object.keys(load('./types.cjs'))).toEqual([]);
  expect(cjsDevices.FileDevice).toBe(cjsIndex.FileDevice);
});

test.each([0, 1])('a program that requires them has a store with %i threads', async (threads) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-cjs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const program = `
    const { createStore } = require(${JSON.stringify(path.join(CJS, 'index.cjs'))});
    (async () => {
      const path = ${JSON.stringify(path.join(folder, 'a.img'))};
      const device = { kind: 'file', path, create: true, sizeBytes: 2 ** 24 };
      const store = await createStore({ device, threads: ${threads} });
      const blob = await store.create({ sizeBytes: 2 ** 20, thin: true });
      await blob.write(new Uint8Array(9).fill(7), 1);
      console.log((await blob.read(0, 3)).join());
      await blob.close();
      await store.close();
    })();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=commonjs', '-e', program]);
  expect(stdout.trim()).toBe('0,7,7');
});
