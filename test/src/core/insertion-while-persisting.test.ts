/**
 * A cluster that a blob gets while its metadata is being written is put on disk only by the next persist: the data in
 * the cluster may have been written after the write barrier of this one.
 */

import type { Blob } from '@blobyard/core';
import { describe, expect, test } from 'vitest';
import { CONFIGURATIONS, PER_CLUSTER, Yard } from '../peer/fixture.js';
import { descriptorsOf, wordsOf } from '../peer/raw-page.js';

const LONG = 8;
const SHORT = 6;

function newBlob(): { yard: Yard; blob: Blob } {
  const yard = new Yard(CONFIGURATIONS[1]);
  const blob = yard.make({ clusterCount: LONG, thin: true });
  yard.write(blob, 0, PER_CLUSTER, 1);
  yard.sync(blob);
  return { yard, blob };
}

/** The entry for a cluster in the blob's extent page on the device: the number of the cluster there, or 0. */
function namedOnDisk(yard: Yard, blob: Blob, cluster: number): number {
  const [{ payload }] = descriptorsOf(yard.peek(yard.mdPageOffset(blob.map.extentPages.get(0)), 4096));
  return wordsOf(payload)[1 + cluster]; // the first word is the first cluster that the page maps
}

/** Syncs a blob, and writes to another one of its clusters while the k-th device operation of a kind waits. */
async function syncBeside(yard: Yard, blob: Blob, kind: 'write' | 'flush', k: number, cluster: number): Promise<void> {
  await yard.later(async () => {
    const gate = yard.device.gate(kind, k);
    const syncing = yard.run(yard.store.syncBlob(blob));
    await gate.reached;
    await yard.channel.write(blob, yard.payload(2, PER_CLUSTER), cluster * PER_CLUSTER, PER_CLUSTER);
    gate.release();
    await syncing;
  });
}

describe('the persist under way does not name a cluster that comes', () => {
  test('during the barrier before the extent pages', async () => {
    const { yard, blob } = newBlob();
    yard.write(blob, PER_CLUSTER, PER_CLUSTER, 1);
    await syncBeside(yard, blob, 'flush', 1, 2);
    expect(namedOnDisk(yard, blob, 1)).toBe(blob.clusterAt(1));
    expect(namedOnDisk(yard, blob, 2)).toBe(0);
    yard.sync(blob);
    expect(namedOnDisk(yard, blob, 2)).toBe(blob.clusterAt(2));
    yard.finish();
  });

  test('while the root is written, before the extent page is shortened', async () => {
    const { yard, blob } = newBlob();
    yard.resize(blob, SHORT);
    await syncBeside(yard, blob, 'write', 1, 2);
    expect(namedOnDisk(yard, blob, 2)).toBe(0);
    yard.sync(blob);
    expect(namedOnDisk(yard, blob, 2)).toBe(blob.clusterAt(2));
    yard.finish();
  });
});
