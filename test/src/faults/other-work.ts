/** What a user does after an operation has failed: other things, with the same blob and with others. */

import type { Steps } from '@blobyard/core';
import type { Yard } from './yard.js';

/** Takes clusters and pages, gives others back, and syncs; tells the oracle of everything. */
export function* otherWork(yard: Yard): Steps<void> {
  const { ioUnitsPerCluster } = yard.store.geometry;
  yield* yard.create('later', { clusters: 3 });
  yield* yard.open('later');
  yield* yard.write('later', 0, 3, 901);
  if (yard.oracle.blobs.has(yard.ids.get('a') ?? 0n)) yield* workOn(yard, 'a');
  if (yard.held.has('thin bystander')) yield* yard.close('thin bystander');
  yield* yard.store.deleteBlob(yard.id('thin bystander'));
  yard.oracle.blobs.delete(yard.id('thin bystander'));
  yield* yard.create('last', { clusters: 9, isThin: true, xattrs: { name: new Uint8Array(3000).fill(9) } });
  yield* yard.open('last');
  for (const cluster of [0, 4, 8]) yield* yard.write('last', cluster, 1, 910 + cluster);
  yield* yard.unmapOnly('last', 4 * ioUnitsPerCluster, ioUnitsPerCluster);
  yard.wrote(yard.id('last'), yard.bytesOf(4), new Uint8Array(yard.bytesOf(1)));
  yield* yard.store.flush();
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
    yield* yard.resize(name, blob.clusterCount - 1);
  }
}
