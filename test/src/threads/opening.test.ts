/** Attaching, and opening blobs by their ids: what is refused, and the greatest number of attachments. */

import { expect, test } from 'vitest';
import { Actor, CLUSTER, codesOf, expectCode, expectFilled, ThreadYard, UNIT } from './actors.js';

test('a missing blob cannot be opened, in either form', async () => {
  const yard = await ThreadYard.open();
  const { id } = await yard.store.create({ sizeBytes: CLUSTER });
  const actor = await yard.actor();
  await expectCode(actor.do('openSync', id + 1n), 'ENOENT');
  await expectCode(actor.do('open', id + 1n), 'ENOENT');
  for (const wrong of [0n, -1n, 2n ** 64n - 1n, 2n ** 40n]) await expectCode(actor.do('open', wrong), 'ENOENT');
  await expectCode(actor.do('openSync', 7 as unknown as bigint), 'EINVAL');
  await actor.do('open', id);
  await yard.store.close();
});

test('a deleted blob cannot be opened any more', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: CLUSTER });
  const { actor, blob: its } = await yard.actorIn(blob.id);
  await blob.close();
  await actor.do('close', its);
  await yard.store.delete(blob.id);
  await expectCode(actor.do('openSync', blob.id), 'ENOENT');
  await yard.store.close();
});

test('several handles of one blob on one thread are independent of each other', async () => {
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: CLUSTER });
  const { actor, blob: first } = await yard.actorIn(blob.id);
  const { blob: second } = await actor.do('open', blob.id);
  await actor.do('writeSync', first, 0, UNIT, 1);
  await actor.do('close', first);
  await expectCode(actor.do('readSync', first, 0, UNIT), 'EBADF');
  expectFilled(await actor.do('readSync', second, 0, UNIT), 1);
  await yard.store.close();
});

test('one thread can attach to several stores, and to one of them twice', async () => {
  const [one, other] = [await ThreadYard.open(), await ThreadYard.open()];
  const blobs = [];
  for (const { store } of [one, other]) blobs.push(await store.create({ sizeBytes: 4 * CLUSTER, thin: true }));
  const actor = await one.actor();
  await actor.do('attach', other.handle);
  await actor.do('attach', one.handle);
  const handles = [];
  for (const [store, { id }] of [blobs[0], blobs[1], blobs[0]].entries()) {
    handles.push((await actor.do('openSync', id, store)).blob);
  }
  for (const [at, its] of handles.entries()) await actor.do('writeSync', its, at * CLUSTER, UNIT, at + 1);
  const order = await actor.together(
    ...handles.map((its, at) => ['write', its, at * CLUSTER + UNIT, UNIT, at + 11] as const),
  );
  expect(codesOf(order)).toEqual(['ok', 'ok', 'ok']);
  for (const [at, blob] of [blobs[0], blobs[1], blobs[0]].entries()) {
    expectFilled(await blob.read(at * CLUSTER, UNIT), at + 1);
    expectFilled(await blob.read(at * CLUSTER + UNIT, UNIT), at + 11);
  }
  await actor.do('detach', 0);
  await expectCode(actor.do('readSync', handles[0], 0, UNIT), 'EBADF');
  expectFilled(await actor.do('readSync', handles[2], 0, UNIT), 1); // by the other attachment
  await one.expectSound();
  await one.store.close();
  expectFilled(await actor.do('readSync', handles[1], CLUSTER, UNIT), 2);
  await other.store.close();
});

test('attaching fails with ENOMEM when no channel is left, and succeeds after a detach', async () => {
  const yard = await ThreadYard.open();
  const actor = await yard.actor();
  let attached = 1;
  let code = '';
  while (code === '') {
    const outcomes = await actor.together(...Array.from({ length: 32 }, () => ['attach', yard.handle] as const));
    attached += codesOf(outcomes).filter((each) => each === 'ok').length;
    code = codesOf(outcomes).find((each) => each !== 'ok') ?? '';
  }
  expect(code).toBe('ENOMEM');
  expect(attached).toBe(255); // the store itself has one of the 256 channels
  await actor.do('detach', 7);
  await actor.do('attach', yard.handle);
  await yard.store.close();
});

test('sixteen threads can write to one blob at once, each its own bytes of the same clusters', async () => {
  const yard = await ThreadYard.open();
  const clusters = 16;
  const blob = await yard.store.create({ sizeBytes: clusters * CLUSTER, thin: true });
  const freeBefore = yard.freeClusters;
  const threads = await Promise.all(Array.from({ length: 16 }, () => yard.actorIn(blob.id)));
  expect(new Set(threads.map(({ actor }) => actor.row)).size).toBe(16);
  const unitOf = (thread: number, cluster: number) => cluster * CLUSTER + ((thread + cluster) % 4) * UNIT;
  const outcomes = await Promise.all(
    threads.map(({ actor, blob: its }, thread) =>
      actor.together(
        ...Array.from({ length: clusters }, (_, at) => {
          const name = (thread + at) % 2 === 0 ? 'write' : 'writeSync';
          return [name, its, unitOf(thread % 4, at), UNIT, 1 + (thread % 4)] as const;
        }),
      ),
    ),
  );
  expect(outcomes.flatMap(codesOf)).toEqual(Array.from({ length: 16 * clusters }, () => 'ok'));
  expect(freeBefore - yard.freeClusters).toBe(clusters);
  for (let cluster = 0; cluster < clusters; cluster++) {
    for (let thread = 0; thread < 4; thread++) expectFilled(await blob.read(unitOf(thread, cluster), UNIT), thread + 1);
  }
  await yard.expectSound();
  await yard.store.close();
});

test('attaching with anything but the handle of an open store is refused', async () => {
  const yard = await ThreadYard.open();
  const actor = new Actor();
  for (const wrong of [
    undefined,
    null,
    {},
    { ...yard.handle, blobyard: 1 },
    { ...yard.handle, metadataThread: undefined },
    { ...yard.handle, shareWindow: -1 },
    { ...yard.handle, mailboxes: undefined },
  ]) {
    await expectCode(actor.do('attach', wrong as never), 'EINVAL');
  }
  await yard.store.close();
});
