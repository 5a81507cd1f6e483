/**
 * Attached threads that execute random operations while snapshots are made and deleted, against a model of every io
 * unit. Many of the operations go through their mailboxes, in both forms, and with more requests at once than these
 * hold.
 */

import { Worker } from 'node:worker_threads';
import type { Blob, Store } from '@blobyard/workers';
import { expect, test } from 'vitest';
import { numbers } from '../api/numbers.js';
import { printedSeed } from '../api/support.js';
import { CLUSTER, expectFilled, KiB, ThreadYard, UNIT } from './actors.js';
import type { MailboxFuzzData, MailboxFuzzResult } from './mailbox-fuzz-worker.js';

const WORKER = new URL('../../dist/threads/mailbox-fuzz-worker.js', import.meta.url);
const THREADS = 3;
const ROUNDS = 150;
const CLUSTERS = 100;
const DEVICE_BYTES = 32 * 1024 * KiB;

function play(data: MailboxFuzzData): Promise<MailboxFuzzResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, { workerData: data });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

/** Makes a snapshot of a blob, and deletes it. */
async function snapAndDelete(store: Store, blob: Blob, random: (limit: number) => number): Promise<void> {
  const snapshot = await blob.snapshot();
  const { id } = snapshot;
  await snapshot.close();
  if (random(3) === 0) await blob.inflate();
  if (random(3) === 0) await blob.sync();
  await store.delete(id);
}

/** Makes a blob longer, and then gives it its former size again. */
async function lengthen(blob: Blob): Promise<void> {
  const { sizeBytes } = blob;
  await blob.resize(3 * sizeBytes);
  await blob.resize(sizeBytes);
}

test.each(['power-loss', 'process-crash'] as const)(
  'with durability %s, every io unit has the value that its thread wrote last',
  async (durability) => {
    const yard = await ThreadYard.open({ durability }, undefined, DEVICE_BYTES);
    const random = numbers(printedSeed('mailbox fuzz'));
    const create = () => yard.store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true });
    const shared = await create();
    const own = [await create(), await create(), await create()];
    let isDone = false;
    const disturb = async () => {
      for (let rounds = 0; ; rounds++) {
        if (isDone) return rounds;
        await snapAndDelete(yard.store, shared, random);
        await lengthen(own[random(own.length)]);
      }
    };
    const disturbing = disturb();
    const playing = Promise.all(
      own.map(({ id }, thread) =>
        play({
          handle: yard.handle,
          seed: random(2 ** 31),
          sharedId: shared.id,
          ownId: id,
          thread,
          threads: THREADS,
          rounds: ROUNDS,
          units: (CLUSTERS * CLUSTER) / UNIT,
          unitsPerCluster: CLUSTER / UNIT,
        }),
      ),
    ).finally(() => {
      isDone = true;
    });
    const [results, disturbances] = await Promise.all([playing, disturbing]);
    expect(disturbances).toBeGreaterThan(0);
    for (let at = 0; at < (CLUSTERS * CLUSTER) / UNIT; at++) {
      expectFilled(await shared.read(at * UNIT, UNIT), results[at % THREADS].shared[at]);
      for (const [thread, blob] of own.entries()) {
        expectFilled(await blob.read(at * UNIT, UNIT), results[thread].own[at]);
      }
    }
    await yard.expectSound();
    await yard.store.close();
  },
);
