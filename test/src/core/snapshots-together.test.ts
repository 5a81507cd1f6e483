/** Snapshots of several blobs are of one moment, and a failure or a power cut while they are made loses nothing. */

import { type Blob, Blobstore, type Channel, checkStore, INVALID_BLOB_ID, run, runSync } from '@blobyard/core';
import { asyncDevice, FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER = 16_384;
const UNIT = 4096;
const CLUSTERS = 4;

interface Ground {
  readonly medium: SparseMemoryDevice;
  readonly device: FaultyDevice;
  readonly store: Blobstore;
  readonly channel: Channel;
  readonly blobs: readonly Blob[];
}

/** A store with three thin blobs. Each has its number in its first cluster; the second is a clone, and has a snapshot. */
async function newGround(asynchronous = false): Promise<Ground> {
  const medium = new SparseMemoryDevice({ sizeBytes: 256 * CLUSTER });
  const device = new FaultyDevice(asynchronous ? asyncDevice(medium) : medium);
  const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER, mdPageCount: 64 }));
  const channel = store.openChannel();
  const blobs: Blob[] = [];
  for (const value of [1, 2, 3]) {
    const id = await run(store.createBlob({ clusterCount: CLUSTERS, thin: true }));
    const blob = await run(store.openBlob(id));
    await channel.write(blob, new Uint8Array(UNIT).fill(value), 0, 1);
    if (value === 2) await run(store.createSnapshot(id));
    blobs.push(blob);
  }
  await run(store.flush());
  return { medium, device, store, channel, blobs };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function askedOf(blobs: readonly Blob[]) {
  return blobs.map(({ id }) => ({ id }));
}

function firstBytes(store: Blobstore, id: bigint): number[] {
  const blob = runSync(store.openBlob(id));
  const channel = store.openChannel();
  const bytes = new Uint8Array(CLUSTERS * CLUSTER);
  channel.readSync(blob, bytes, 0, bytes.length / UNIT);
  runSync(channel.close());
  runSync(store.closeBlob(blob));
  return [bytes[0], bytes[CLUSTER]];
}

/** The store as it is found on the medium. What is wrong with it, if anything. */
function problemsOf(medium: SparseMemoryDevice, ids: readonly bigint[]): string[] {
  const bytes = new Uint8Array(medium.blockCount * medium.blockLengthBytes);
  void medium.openChannel().read(bytes, 0, 0, medium.blockCount);
  const copy = SparseMemoryDevice.fromBytes(bytes, { blockLengthBytes: medium.blockLengthBytes });
  const store = runSync(Blobstore.load(copy));
  const problems: string[] = [];
  for (const [at, id] of ids.entries()) {
    const [value] = firstBytes(store, id);
    if (value !== at + 1) problems.push(`blob ${at} reads ${value}`);
    const parent = store.parentOf(id);
    if (parent !== INVALID_BLOB_ID && firstBytes(store, parent)[0] !== at + 1) {
      problems.push(`the snapshot of blob ${at} reads something else`);
    }
  }
  store.verify();
  runSync(store.unload());
  const { findings } = runSync(checkStore(copy));
  return [...problems, ...findings.map((finding) => JSON.stringify(finding))];
}

describe('snapshots of several blobs', () => {
  test.each([0, 1, 2, 3, 5, 8, 13])('are of one moment (begun after %i writes)', async (before) => {
    const { store, channel, blobs } = await newGround(true);
    let isDone = false;
    // The first blob is counted up. Each other one gets what its predecessor has acknowledged.
    const acknowledged = [0, 0, 0];
    const writing = blobs.map(async (blob, at) => {
      while (!isDone) {
        const value = at === 0 ? acknowledged[0] + 1 : acknowledged[at - 1];
        await channel.write(blob, new Uint8Array(UNIT).fill(value), CLUSTER / UNIT, 1);
        acknowledged[at] = value;
        await nextTurn();
      }
    });
    while (acknowledged[0] < before) await nextTurn();
    // Without the common freeze, the snapshots of others between them give the writers the time to show.
    const others: bigint[] = [];
    for (let count = 0; count < 12; count++) others.push(await run(store.createBlob({ clusterCount: 1, thin: true })));
    const [one, ...rest] = askedOf(blobs);
    const made = await run(store.createSnapshots([one, ...others.map((id) => ({ id })), ...rest]));
    const ids = [made[0], ...made.slice(1 + others.length)];
    isDone = true;
    await Promise.all(writing);
    const seen: number[] = [];
    for (const id of ids) {
      const buffer = new Uint8Array(UNIT);
      const snapshot = await run(store.openBlob(id));
      await channel.read(snapshot, buffer, CLUSTER / UNIT, 1);
      seen.push(buffer[0]);
      await run(store.closeBlob(snapshot));
    }
    const [first, second, third] = seen;
    expect([first >= second, second >= third]).toEqual([true, true]);
    expect(acknowledged[0]).toBeLessThan(250); // a byte holds it
    expect(blobs.map(({ id }) => store.parentOf(id))).toEqual(ids);
    expect(channel.frozenDepth).toBe(0);
    store.verify();
  });

  test('are refused as a whole when one cannot be made', async () => {
    const { store, blobs, device } = await newGround();
    const readOnly = await run(store.openBlob(await run(store.createSnapshot(blobs[0].id))));
    const parents = blobs.map(({ id }) => store.parentOf(id));
    const writes = device.count('write');
    for (const list of [
      [blobs[1], readOnly],
      [blobs[1], blobs[2], blobs[1]],
    ]) {
      await expect(run(store.createSnapshots(askedOf(list)))).rejects.toMatchObject({ code: 'EINVAL' });
    }
    await expect(run(store.createSnapshots([{ id: blobs[1].id }, { id: 999n }]))).rejects.toMatchObject({});
    expect(device.count('write')).toBe(writes);
    expect(blobs.map(({ id }) => store.parentOf(id))).toEqual(parents);
    expect(await run(store.createSnapshots([]))).toEqual([]);
    store.verify();
  });

  test('are made or not, each whole, when the power is cut at any write or flush', async () => {
    let cuts = 0;
    for (let k = 1; ; k++) {
      const { medium, device, store, blobs } = await newGround();
      const ids = blobs.map(({ id }) => id);
      device.cutPowerAt(k, { writes: 'drop' });
      await run(store.createSnapshots(askedOf(blobs))).catch(() => undefined);
      const isPast = device.isPowered;
      expect([k, problemsOf(medium, ids)]).toEqual([k, []]);
      if (isPast) break;
      cuts++;
    }
    expect(cuts).toBeGreaterThan(10);
  });

  test.each(['write', 'flush', 'read'] as const)(
    'are deleted again, or stay whole, when any %s fails',
    async (kind) => {
      for (const times of [1, 1000]) {
        for (let k = 1; ; k++) {
          const { medium, device, store, blobs } = await newGround();
          const ids = blobs.map(({ id }) => id);
          const count = store.blobIds().length;
          const asked = device.count(kind);
          device.failAt(k, { kind, times });
          const result = await run(store.createSnapshots(askedOf(blobs))).then(
            () => 'made' as const,
            (error: unknown) => error,
          );
          const hasFailed = device.count(kind) - asked >= k;
          device.clearFaults();
          store.verify();
          expect(blobs.map(({ slot }) => store.shared.channels.isDrained(slot))).toEqual([true, true, true]);
          for (const [at, id] of ids.entries()) expect(firstBytes(store, id)[0]).toBe(at + 1);
          if (times === 1 && result !== 'made') {
            // Only the last one may be there: its last step has failed, when it was in effect.
            expect(store.blobIds().length).toBeLessThanOrEqual(count + 1);
          }
          const made = await run(store.createSnapshots(askedOf(blobs)));
          expect(made.map((id, at) => firstBytes(store, id)[0] - at)).toEqual([1, 1, 1]);
          await run(store.flush());
          expect([kind, k, problemsOf(medium, ids)]).toEqual([kind, k, []]);
          if (!hasFailed) break;
          expect(result).not.toBe('made');
        }
      }
    },
  );
});
