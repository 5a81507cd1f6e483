/** Disks with unusual sizes of blocks or metadata pages, which are in the super block. */

import { readFileSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { SuperBlock } from '@blobyard/core';
import { check, createStore, openStore } from 'blobyard';
import { describe, expect, it } from 'vitest';
import { blobyard } from '../cli/command.js';
import { newPath } from '../io/temp-folder.js';

/** Makes a store in a file with blocks of 512 bytes, with one blob that begins with sevens. */
async function storeOfSmallBlocks(): Promise<{ kind: 'file'; path: string }> {
  const spec = { kind: 'file', path: newPath() } as const;
  const device = { ...spec, create: true, sizeBytes: 2 ** 22, blockLengthBytes: 512 };
  const store = await createStore({ device, clusterSizeBytes: 16_384 });
  const blob = await store.create({ name: 'one', sizeBytes: 65_536 });
  await blob.write(new Uint8Array(1000).fill(7), 100);
  await blob.close();
  await store.close();
  return spec;
}

/** Changes the super block of a file. */
function changeSuper(path: string, change: (block: SuperBlock) => void): void {
  const bytes = readFileSync(path);
  const block = new SuperBlock(new Uint8Array(bytes.buffer, bytes.byteOffset, 4096));
  change(block);
  block.seal();
  writeFileSync(path, bytes);
}

const ATTACHED = `
import { workerData, parentPort } from 'node:worker_threads';
const { attach } = await import(workerData.blobyard);
const yard = await attach(workerData.yard);
const blob = yard.openSync(workerData.id);
const bytes = blob.readSync(512, new Uint8Array(512));
blob.writeSync(bytes.fill(9), 512);
await yard.close();
parentPort.postMessage(yard !== undefined);
`;

describe('a store with io units of 512 bytes, without a hint by the caller,', () => {
  it.each([0, 1])('opens with %s I/O workers, and on an attached thread', async (threads) => {
    const device = await storeOfSmallBlocks();
    const store = await openStore({ device, threads });
    const blob = await store.open({ name: 'one' });
    expect((await blob.read(100, 1000)).every((byte) => byte === 7)).toBe(true);
    const workerData = {
      yard: store.share(),
      id: blob.id,
      blobyard: new URL('../../../packages/blobyard/dist/index.js', import.meta.url).href,
    };
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(ATTACHED)}`), { workerData });
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await exited;
    expect([...(await blob.read(511, 3))]).toEqual([7, 9, 9]);
    await blob.close();
    await store.close();
    expect((await check(device)).findings).toEqual([]);
  });

  it('is checked and repaired', async () => {
    const device = await storeOfSmallBlocks();
    changeSuper(device.path, (block) => {
      block.clean = 0;
    });
    expect((await check(device, { repair: true })).outcome).toBe('repaired');
    expect((await check(device)).findings).toEqual([]);
  });

  it('is refused with blocks that are too large for it', async () => {
    const device = { ...(await storeOfSmallBlocks()), blockLengthBytes: 4096 };
    await expect(openStore({ device })).rejects.toMatchObject({
      code: 'EINVAL',
      message: expect.stringMatching(/blocks of 512 bytes/),
    });
    await expect(check(device)).rejects.toMatchObject({ code: 'EINVAL' });
  });
});

describe('a store with metadata pages of 16 KiB', () => {
  it('is refused as not supported, and not as damaged', async () => {
    const device = await storeOfSmallBlocks();
    changeSuper(device.path, (block) => {
      block.mdPageBytes = 16_384;
    });
    const before = readFileSync(device.path);
    const unsupported = { code: 'ENOTSUP', message: expect.stringMatching(/metadata pages of 16384 bytes/) };
    await expect(openStore({ device })).rejects.toMatchObject(unsupported);
    await expect(openStore({ device, onDamage: 'set-aside', recover: 'force' })).rejects.toMatchObject(unsupported);
    const { outcome, findings } = await check(device, { repair: true });
    expect([outcome, findings.map(({ kind }) => kind)]).toEqual(['unchecked', ['unsupported']]);
    for (const args of [['check'], ['check', '--repair'], ['info'], ['ls'], ['dump']]) {
      const { status, stdout, stderr } = blobyard(...args, device.path);
      expect(status).toBe(args[0] === 'check' ? 2 : 1);
      expect(stdout + stderr).toMatch(/16384/);
      expect(stdout + stderr).not.toMatch(/damage/i);
    }
    expect(readFileSync(device.path).equals(before)).toBe(true);
  });

  it('is damaged if no disk can have pages of that size', async () => {
    const device = await storeOfSmallBlocks();
    changeSuper(device.path, (block) => {
      block.mdPageBytes = 5000;
    });
    await expect(openStore({ device })).rejects.toMatchObject({ code: 'EILSEQ' });
    expect((await check(device)).outcome).toBe('left');
  });
});
