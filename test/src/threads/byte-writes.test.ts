/**
 * Writes of bytes by several threads, on a device that takes any bytes:
 *
 *     thread A   writes bytes 10 to 109 of an io unit … held at the device … … … … goes on
 *     thread B                    … writes bytes 110 to 209 of the same unit …
 *
 * Neither thread reads the io unit and writes it back, so that neither overwrites the bytes of the other one.
 */

import { expect, test } from 'vitest';
import { CLUSTER, expectFilled, manyTurns, ThreadYard, UNIT, watched } from './actors.js';
import { Gate } from './gate.js';

async function held(thin: boolean, form: 'write' | 'writeSync') {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER, thin });
  if (!thin) await blob.write(new Uint8Array(4 * CLUSTER).fill(1), 0);
  const write = new Gate();
  const first = await yard.actorIn(blob.id, { write });
  const second = await yard.actorIn(blob.id);
  write.shut();
  const writing = watched(first.actor.do(form, first.blob, 10, 100, 2));
  await write.held();
  return { yard, blob, write, writing, second };
}

/** Expects the bytes of both threads in the first io unit. */
function expectBoth(unit: Uint8Array, background: number): void {
  expectFilled(unit.subarray(0, 10), background);
  expectFilled(unit.subarray(10, 110), 2);
  expectFilled(unit.subarray(110, 210), 3);
  expectFilled(unit.subarray(210), background);
}

test.each(['write', 'writeSync'] as const)('threads can write bytes of one io unit at once: %s', async (form) => {
  const { yard, blob, write, writing, second } = await held(false, form);
  await second.actor.do(form, second.blob, 110, 100, 3);
  expect(writing.isSettled).toBe(false);
  write.open();
  await writing.promise;
  expectBoth(await blob.read(0, UNIT), 1);
  expectBoth(await second.actor.do('readSync', second.blob, 0, UNIT), 1);
  await yard.expectSound();
  await yard.store.close();
});

test.each(['write', 'writeSync'] as const)('threads can make first writes to one cluster at once: %s', async (form) => {
  const { yard, blob, write, writing, second } = await held(true, form);
  const other = watched(second.actor.do(form, second.blob, 110, 100, 3));
  await manyTurns();
  write.open();
  await Promise.all([writing.promise, other.promise]);
  expectBoth(await blob.read(0, UNIT), 0);
  expectFilled(await blob.read(UNIT, CLUSTER - UNIT), 0);
  await yard.expectSound();
  await yard.store.close();
});

test('a snapshot waits for a write of bytes that is under way on another thread, and has its data', async () => {
  const { yard, blob, write, writing, second } = await held(false, 'writeSync');
  const snapping = watched(blob.snapshot());
  await yard.frozen(second.slot);
  const late = watched(second.actor.do('write', second.blob, 110, 100, 3));
  await manyTurns();
  expect([snapping.isSettled, late.isSettled]).toEqual([false, false]);
  write.open();
  await writing.promise;
  const snapshot = await snapping.promise;
  await late.promise;
  expectFilled(await snapshot.read(10, 100), 2);
  expectFilled(await snapshot.read(110, 100), 1);
  expectBoth(await blob.read(0, UNIT), 1);
  await snapshot.close();
  await yard.expectSound();
  await yard.store.close();
});
