/** `check` of the promise API, on real files. */

import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlobstoreError, check, createStore, type DeviceSpec, openStore } from 'blobyard';
import { run } from 'blobyard/engine';
import { describe, expect, onTestFinished, test } from 'vitest';

const MiB = 2 ** 20;

/** Makes a store with two blobs in a file, and closes it. Returns the device spec of the file. */
async function storeInFile(): Promise<DeviceSpec & { path: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-check-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const spec = { kind: 'file', path: path.join(folder, 'store.img') } as const;
  const device = { ...spec, create: true, sizeBytes: 8 * MiB };
  const store = await createStore({ device, clusterSizeBytes: 65_536 });
  for (const name of ['one', 'two']) {
    const blob = await store.create({ name, sizeBytes: 200_000 });
    await blob.write(new Uint8Array(100_000).fill(name.length), 50_000);
    await blob.close();
  }
  await store.close();
  return spec;
}

/** Overwrites bytes of the store's first metadata page, the root of its first blob. */
async function damageFirstRoot(spec: { path: string }): Promise<void> {
  const handle = await open(spec.path, 'r+');
  const superBlock = Buffer.alloc(4096);
  await handle.read(superBlock, 0, 4096, 0);
  await handle.write(Buffer.from('damage'), 0, 6, superBlock.readUInt32LE(48) * 4096 + 200);
  await handle.close();
}

async function hashOf(spec: { path: string }): Promise<string> {
  return createHash('sha256')
    .update(await readFile(spec.path))
    .digest('hex');
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'ok',
    (error: BlobstoreError) => error.code,
  );
}

describe('check', () => {
  test('reports that an undamaged store is clean, and changes nothing', async () => {
    const spec = await storeInFile();
    const before = await hashOf(spec);
    const { outcome, findings, summary } = await check(spec);
    expect({ outcome, findings }).toEqual({ outcome: 'clean', findings: [] });
    expect(summary).toMatchObject({ blobCount: 2, usedClusters: 8, wasClean: true });
    expect(await hashOf(spec)).toBe(before);
    expect((await check(spec, { repair: true })).outcome).toBe('clean');
    expect(await hashOf(spec), 'there was nothing to repair').toBe(before);
  });

  test('closes a store that was left open, when it may repair', async () => {
    const spec = await storeInFile();
    const store = await openStore({ device: spec });
    const blob = await store.open({ name: 'one' });
    await blob.xattrs.set('left', Buffer.from('open'));
    await blob.sync();
    await run(store.engine.blobstore.abandon());
    await codeOf(store.close());
    const found = await check(spec);
    expect(found).toMatchObject({ outcome: 'clean', findings: [{ kind: 'not-closed', severity: 'note' }] });
    const repaired = await check(spec, { repair: true });
    expect(repaired).toMatchObject({ outcome: 'repaired', findings: [{ kind: 'not-closed', outcome: 'repaired' }] });
    expect(repaired.summary?.wasClean).toBe(true);
    expect((await check(spec)).findings).toEqual([]);
  });

  test('finds a damaged blob, and leaves it with all its clusters and pages', async () => {
    const spec = await storeInFile();
    await damageFirstRoot(spec);
    const { outcome, findings } = await check(spec, { repair: true });
    expect(outcome).toBe('left');
    expect(findings.map(({ kind, outcome }) => [kind, outcome])).toContainEqual(['chain', 'left']);
    const store = await openStore({ device: spec, onDamage: 'set-aside' });
    expect(store.damaged.length).toBe(1);
    const two = await store.open({ name: 'two' });
    expect((await two.read(50_000, 100_000)).every((byte) => byte === 3)).toBe(true);
    await store.close();
  });

  test('does not touch a store that is open elsewhere', async () => {
    const spec = await storeInFile();
    const store = await openStore({ device: spec });
    expect(await codeOf(check(spec))).toBe('EBUSY');
    await store.close();
    expect(await codeOf(check(spec))).toBe('ok');
  });

  test('rejects with an error code where it cannot check', async () => {
    const spec = await storeInFile();
    expect(await codeOf(check(spec, { repair: 1 as never }))).toBe('EINVAL');
    expect(await codeOf(check(spec, { fix: true } as never))).toBe('EINVAL');
    expect(await codeOf(check(undefined as never))).toBe('EINVAL');
    expect(await codeOf(check({ kind: 'file', path: `${spec.path}.not` }))).toBe('ENOENT');
    expect(await codeOf(check(spec, { signal: AbortSignal.abort() }))).toBe('ABORT_ERR');
    expect(await codeOf(check({ kind: 'memory', sizeBytes: MiB, blockLengthBytes: 3000 }))).toBe('EINVAL');
    expect(await check({ kind: 'memory', sizeBytes: MiB })).toMatchObject({
      outcome: 'unchecked',
      findings: [{ kind: 'no-store', severity: 'note' }],
      summary: undefined,
    });
  });
});
