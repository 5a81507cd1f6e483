/** Attached threads read external snapshots. Each thread opens their devices for itself. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from '@blobyard/core';
import { type DeviceSpec, MemoryDevice, SparseMemoryDevice } from '@blobyard/io';
import type { ExternalSnapshotWanted } from '@blobyard/workers';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../api/support.js';
import { CLUSTER, expectCode, expectFilled, manyTurns, ThreadYard, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';
import { gateDevice } from './gate-device.js';

const CLUSTERS = 4;

function filledMemory(value: number): MemoryDevice {
  return MemoryDevice.fromBytes(new Uint8Array(CLUSTERS * CLUSTER).fill(value), { canCopy: false });
}

/** A store with a clone of an external snapshot, and an attached thread that has the clone open. */
async function cloneYard(openExternalSnapshot: (wanted: ExternalSnapshotWanted) => DeviceSpec | MemoryDevice | null) {
  const yard = await ThreadYard.open({ openExternalSnapshot });
  const blob = await yard.store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true, externalSnapshotId: 'outside' });
  const { actor, blob: its, slot } = await yard.actorIn(blob.id);
  const setDevice = (device: MemoryDevice) => run(yard.store.engine.blobstore.setExternalDevice(blob.engine, device));
  return { yard, blob, actor, its, slot, setDevice };
}

async function specOf(kind: 'memory' | 'file' | 'custom'): Promise<DeviceSpec> {
  const memory = filledMemory(7);
  if (kind === 'memory') return memory.spec;
  if (kind === 'custom') return gateDevice(memory.memory, {});
  const file = path.join(await temporaryFolder(), 'outside');
  await writeFile(file, new Uint8Array(CLUSTERS * CLUSTER).fill(7));
  return { kind: 'file', path: file, readOnly: true };
}

test.each(['memory', 'file'] as const)('an external snapshot in a %s is read in both forms', async (kind) => {
  const spec = await specOf(kind);
  const { yard, blob, actor, its } = await cloneYard(() => spec);
  expectFilled(await actor.do('readSync', its, 0, UNIT), 7);
  expectFilled(await actor.do('read', its, UNIT, CLUSTER), 7);
  await actor.do('writeSync', its, 0, UNIT, 1);
  expectFilled(await actor.do('readSync', its, 0, UNIT), 1);
  expectFilled(await blob.read(UNIT, 2 * CLUSTER), 7);
  await yard.expectSound();
  await yard.store.close();
});

test('an external snapshot on a custom device is read in promise form, and then in synchronous form too', async () => {
  const spec = await specOf('custom');
  const { yard, blob, actor, its } = await cloneYard(() => spec);
  await expectCode(actor.do('readSync', its, 0, UNIT), 'ENOTSUP'); // the module of the device must be loaded first
  expectFilled(await actor.do('read', its, 0, UNIT), 7);
  expectFilled(await actor.do('readSync', its, UNIT, UNIT), 7);
  await actor.do('writeSync', its, 0, UNIT, 1);
  expectFilled(await blob.read(0, UNIT), 1);
  expectFilled(await blob.read(UNIT, UNIT), 7);
  await yard.expectSound();
  await yard.store.close();
});

test('an asynchronous external snapshot is read in promise form only', async () => {
  const spec = gateDevice(filledMemory(7).memory, {}, true);
  const { yard, actor, its } = await cloneYard(() => spec);
  expectFilled(await actor.do('read', its, 0, UNIT), 7);
  await expectCode(actor.do('readSync', its, 0, UNIT), 'ENOTSUP');
  await expectCode(actor.do('writeSync', its, 0, UNIT, 1), 'ENOTSUP');
  await actor.do('write', its, 0, UNIT, 1);
  expectFilled(await actor.do('read', its, 0, UNIT), 1);
  expectFilled(await actor.do('read', its, UNIT, UNIT), 7);
  await yard.expectSound();
  await yard.store.close();
});

test('reads of a thread fail if the external snapshot is missing, or its device exists on another thread only', async () => {
  const missing = await cloneYard(() => null);
  await expectCode(missing.actor.do('readSync', missing.its, 0, UNIT), 'EIO');
  await expectCode(missing.actor.do('read', missing.its, 0, UNIT), 'EIO');
  await missing.setDevice(filledMemory(3));
  expectFilled(await missing.actor.do('readSync', missing.its, 0, UNIT), 3);
  await missing.yard.store.close();
  const sparse = new SparseMemoryDevice({ sizeBytes: CLUSTERS * CLUSTER, blockLengthBytes: 4096 });
  const lone = await cloneYard(() => sparse as unknown as MemoryDevice);
  await expectCode(lone.actor.do('readSync', lone.its, 0, UNIT), 'ENOTSUP');
  await expectCode(lone.actor.do('read', lone.its, 0, UNIT), 'ENOTSUP');
  expectFilled(await lone.blob.read(0, UNIT), 0);
  await lone.yard.store.close();
});

test('a thread reads the new device as soon as that is set', async () => {
  const { yard, actor, its, setDevice } = await cloneYard(() => filledMemory(1));
  expectFilled(await actor.do('readSync', its, 0, UNIT), 1);
  for (let value = 2; value < 6; value++) {
    await setDevice(filledMemory(value));
    expectFilled(await actor.do(value % 2 === 0 ? 'readSync' : 'read', its, 0, UNIT), value);
  }
  await actor.do('writeSync', its, CLUSTER, UNIT, 9);
  expectFilled(await actor.do('readSync', its, CLUSTER + UNIT, UNIT), 5);
  await yard.expectSound();
  await yard.store.close();
});

test('setting another device waits for a thread that reads the former one', async () => {
  const read = new Gate();
  const spec = gateDevice(filledMemory(1).memory, { read });
  const { yard, actor, its, slot, setDevice } = await cloneYard(() => spec);
  expectFilled(await actor.do('read', its, 0, UNIT), 1);
  read.shut();
  const reading = actor.do('readSync', its, 0, UNIT);
  await read.held();
  const setting = watched(setDevice(filledMemory(2)));
  await yard.frozen(slot);
  await manyTurns();
  expect(setting.isSettled).toBe(false);
  read.open();
  expectFilled(await reading, 1);
  await setting.promise;
  expectFilled(await actor.do('readSync', its, 0, UNIT), 2);
  await yard.store.close();
});

test('a thread reads on through a snapshot of an external clone, and from an inflated one', async () => {
  const { yard, blob, actor, its } = await cloneYard(() => filledMemory(7));
  const expectContent = async () => {
    expectFilled(await actor.do('readSync', its, 0, UNIT), 1);
    expectFilled(await actor.do('readSync', its, UNIT, CLUSTER - UNIT), 7);
    expectFilled(await actor.do('read', its, CLUSTER, CLUSTER), 7);
  };
  await actor.do('writeSync', its, 0, UNIT, 1);
  await expectContent();
  const snapshot = await blob.snapshot();
  await expectContent();
  const { blob: theirs } = await actor.do('openSync', snapshot.id);
  expectFilled(await actor.do('readSync', theirs, CLUSTER, CLUSTER), 7);
  await actor.do('writeSync', its, CLUSTER, UNIT, 1);
  await actor.do('writeSync', its, CLUSTER, UNIT, 7);
  await expectContent();
  await blob.inflate();
  await expectContent();
  expectFilled(await actor.do('readSync', theirs, 0, UNIT), 1);
  await yard.expectSound();
  await actor.do('detach');
  await snapshot.close();
  await yard.store.close();
});

test('threads read correct data while devices are replaced, and snapshots are made and deleted', async () => {
  const { yard, blob, actor, its, setDevice } = await cloneYard(() => filledMemory(7));
  const second = await yard.actorIn(blob.id);
  await actor.do('writeSync', its, 0, CLUSTER, 1);
  let isDone = false;
  let readsDone = 0;
  const reader = async ({ actor: thread, blob: handle }: Pick<typeof second, 'actor' | 'blob'>) => {
    for (; !isDone; readsDone++) {
      const form = readsDone % 2 === 0 ? 'readSync' : 'read';
      expectFilled(await thread.do(form, handle, CLUSTER - UNIT, UNIT), 1);
      expectFilled(await thread.do(form, handle, CLUSTER, UNIT), 7);
    }
  };
  const reading = [reader({ actor, blob: its }), reader(second)];
  await setDevice(filledMemory(7));
  for (let round = 0; round < 3; round++) {
    const snapshot = await blob.snapshot();
    const { id } = snapshot;
    await snapshot.close();
    await yard.store.delete(id);
  }
  await setDevice(filledMemory(7));
  const readsSoFar = readsDone;
  await until(() => readsDone > readsSoFar + 20);
  await blob.inflate();
  isDone = true;
  await Promise.all(reading);
  await yard.expectSound();
  await yard.store.close();
});
