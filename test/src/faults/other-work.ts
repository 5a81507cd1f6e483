/** What a user does after a failed operation: other operations, on the same blob and on others. */

import { type BlobId, INVALID_BLOB_ID, type Steps } from '@blobyard/core';
import type { Yard } from './yard.js';

/** What is done at the end with the blob of the failed operation. */
export type Fate = 'kept' | 'decoupled' | 'snapshot' | 'deleted';
export const FATES: readonly Fate[] = ['kept', 'decoupled', 'snapshot', 'deleted'];

/**
 * Allocates clusters and pages and frees others, in the store and in the oracle. Syncs only what must be durable.
 * @param isFirst - true: begins with the blob 'a'; false: with other blobs
 */
export function* otherWork(yard: Yard, fate: Fate, isFirst: boolean): Steps<void> {
  const { ioUnitsPerCluster } = yard.store.geometry;
  const isThere = yard.oracle.blobs.has(yard.ids.get('a') ?? 0n); // asked now: later another blob may get its id
  if (isThere && isFirst) yield* meetFate(yard, 'a', fate);
  yield* yard.create('later', { clusters: 3 });
  yield* yard.open('later');
  yield* yard.write('later', 0, 3, 901);
  if (isThere && !isFirst) yield* meetFate(yard, 'a', fate);
  if (yard.held.has('thin bystander')) yield* yard.close('thin bystander');
  yield* yard.store.deleteBlob(yard.id('thin bystander'));
  yard.oracle.blobs.delete(yard.id('thin bystander'));
  yield* yard.create('last', { clusters: 9, isThin: true, xattrs: { name: new Uint8Array(3000).fill(9) } });
  yield* yard.open('last');
  for (const cluster of [0, 4, 8]) yield* yard.write('last', cluster, 1, 910 + cluster);
  yield* yard.unmapOnly('last', 4 * ioUnitsPerCluster, ioUnitsPerCluster);
  yard.wrote(yard.id('last'), yard.bytesOf(4), new Uint8Array(yard.bytesOf(1)));
}

function* workOn(yard: Yard, name: string): Steps<void> {
  const { ioUnitsPerCluster } = yard.store.geometry;
  if (!yard.held.has(name)) yield* yard.open(name);
  const blob = yard.blob(name);
  if (blob.isReadOnly) return;
  for (const cluster of [0, 1, 2, blob.clusterCount - 1]) {
    if (cluster >= 0 && cluster < blob.clusterCount) yield* yard.write(name, cluster, 1, 920 + cluster);
  }
  if (blob.clusterCount > 2) {
    yield* yard.unmapOnly(name, ioUnitsPerCluster, ioUnitsPerCluster);
    yard.wrote(yard.id(name), yard.bytesOf(1), new Uint8Array(yard.bytesOf(1)));
    if (yard.configuration.durability === 'power-loss') yield* yard.resize(name, blob.clusterCount - 1);
  }
}

/** Does with a blob what its fate says. Called at once, before anything else has written the blob. */
function* meetFate(yard: Yard, name: string, fate: Fate): Steps<void> {
  const { oracle, store } = yard;
  const id = yard.id(name);
  if (fate === 'kept') return yield* workOn(yard, name);
  const parent = store.parentOf(id);
  const { isReadOnly } = oracle.of(id);
  if (fate === 'decoupled' && parent !== INVALID_BLOB_ID) {
    if (yield* isExternalClone(yard, parent)) return; // as in the reference, the external snapshot is not found then
    yield* store.decoupleBlob(yard.channel, id);
    oracle.of(id).parent = oracle.of(parent).parent;
  } else if (fate === 'snapshot' && !isReadOnly) {
    yield* yard.snapshot(name, 'other snapshot');
  } else if (fate === 'deleted' && store.clonesOf(id).length === 0) {
    if (yard.held.has(name)) yield* yard.close(name);
    yield* store.deleteBlob(id);
    oracle.blobs.delete(id);
  }
}

function* isExternalClone(yard: Yard, id: BlobId): Steps<boolean> {
  const blob = yield* yard.store.openBlob(id);
  const answer = blob.isExternalClone;
  yield* yard.store.closeBlob(blob);
  return answer;
}
