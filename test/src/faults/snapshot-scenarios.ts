/** Scenarios with operations on snapshots and clones. */

import type { Steps } from '@blobyard/core';
import { bystanders, LARGE, longXattrs } from './blob-scenarios.js';
import type { Oracle } from './oracle.js';
import { type Scenario, scenario } from './scenario.js';
import type { NewBlob, Yard } from './yard.js';

/** Writes a third of a blob's clusters. `phase` selects which, so that each snapshot and clone has different ones. */
function* fill(yard: Yard, name: string, phase: number, seed: number): Steps<void> {
  const held = yard.held.has(name);
  if (!held) yield* yard.open(name);
  const { clusterCount } = yard.blob(name);
  const stride = Math.max(3, Math.floor((clusterCount - 4) / 4));
  for (let cluster = phase; cluster < clusterCount; cluster += stride)
    yield* yard.write(name, cluster, 1, seed + cluster);
  if (!held) yield* yard.close(name);
}

/** Makes a blob 'a' with data, and opens it. */
function* original(yard: Yard, made: NewBlob): Steps<void> {
  yield* bystanders(yard);
  yield* yard.create('a', made);
  yield* yard.open('a');
  yield* fill(yard, 'a', 0, 10);
  yield* fill(yard, 'a', 1, 20);
}

/** Makes 'a' a clone of 's2', and 's2' a clone of 's1'. Each has own clusters, some of which hide its parent's. */
function* chain(yard: Yard, made: NewBlob): Steps<void> {
  yield* original(yard, made);
  yield* yard.snapshot('a', 's1');
  yield* fill(yard, 'a', 1, 40);
  yield* yard.snapshot('a', 's2');
  yield* fill(yard, 'a', 2, 60);
  yield* fill(yard, 'a', 1, 80);
}

function snapshotting(name: string, prepare: (yard: Yard) => Steps<void>, more: Partial<Scenario> = {}): Scenario {
  return scenario({
    name: `snapshot of ${name}`,
    prepare,
    run: (yard) => yard.store.createSnapshot(yard.id('a')),
    apply: (oracle, yard, made) => yard.wasSnapshot(yard.id('a'), made ?? 0n, oracle),
    ...more,
  });
}

export const SNAPSHOT_SCENARIOS: readonly Scenario[] = [
  snapshotting('an open thick blob', (yard) => original(yard, { clusters: 6 })),
  snapshotting('an open thin blob with a long chain', (yard) =>
    original(yard, { clusters: 9, isThin: true, xattrs: longXattrs(3, 1) }),
  ),
  snapshotting('a closed thick blob', function* (yard) {
    yield* original(yard, { clusters: 6 });
    yield* yard.close('a');
  }),
  snapshotting('a clone in a chain of three', (yard) => chain(yard, { clusters: 9, isThin: true })),
  snapshotting('a clone of an external snapshot', (yard) => original(yard, { clusters: 9, externalSeed: 5 })),
  snapshotting('a large thin blob', (yard) => original(yard, { clusters: 540, isThin: true }), { sizes: LARGE }),
  snapshotting('a blob that was shrunk and not synced', (yard) => original(yard, { clusters: 9, isThin: true }), {
    change: (yard) => yard.resize('a', 4),
  }),
  snapshotting('a blob with clusters just unmapped', (yard) => original(yard, { clusters: 9, isThin: true }), {
    change: (yard) => unmapped(yard, 'a', 1),
    changesInPlace: true,
  }),
];

function* unmapped(yard: Yard, name: string, cluster: number): Steps<void> {
  const { ioUnitsPerCluster } = yard.store.geometry;
  yield* yard.unmapOnly(name, cluster * ioUnitsPerCluster, ioUnitsPerCluster);
  yard.wrote(yard.id(name), yard.bytesOf(cluster), new Uint8Array(yard.bytesOf(1)));
}

function cloning(name: string, prepare: (yard: Yard) => Steps<void>): Scenario {
  return scenario({
    name: `clone of ${name}`,
    prepare,
    run: (yard) => yard.store.createClone(yard.id('s')),
    apply: (oracle, yard, made) => yard.wasCloned(yard.id('s'), made ?? 0n, oracle),
  });
}

export const CLONE_SCENARIOS: readonly Scenario[] = [
  cloning('a snapshot', function* (yard) {
    yield* original(yard, { clusters: 6 });
    yield* yard.snapshot('a', 's');
  }),
  cloning('a snapshot in a chain, closed', function* (yard) {
    yield* chain(yard, { clusters: 9, isThin: true });
    yield* yard.snapshot('a', 's');
    yield* yard.close('a');
  }),
];

type Independence = 'inflate' | 'decouple';

function independence(
  how: Independence,
  name: string,
  prepare: (yard: Yard) => Steps<void>,
  more: Partial<Scenario> = {},
): Scenario {
  return scenario({
    name: `${how} ${name}`,
    prepare,
    *run(yard) {
      const { store } = yard;
      // In a second attempt the clone may be decoupled already.
      if (how === 'decouple' && store.parentOf(yard.id('a')) !== yard.ids.get('s2') && yard.ids.has('s2'))
        return undefined;
      yield* how === 'inflate'
        ? store.inflateBlob(yard.channel, yard.id('a'))
        : store.decoupleBlob(yard.channel, yard.id('a'));
      return undefined;
    },
    apply(oracle, yard) {
      const state = oracle.of(yard.id('a'));
      const parent = state.parent === undefined ? undefined : oracle.blobs.get(state.parent);
      state.parent = how === 'decouple' ? parent?.parent : undefined;
      if (how === 'inflate') state.isThin = false;
    },
    ...more,
  });
}

export const INDEPENDENCE_SCENARIOS: readonly Scenario[] = [
  independence('inflate', 'a thin blob', (yard) => original(yard, { clusters: 9, isThin: true })),
  independence('inflate', 'a clone in a chain of three', (yard) => chain(yard, { clusters: 9, isThin: true })),
  independence('inflate', 'a clone of an external snapshot', (yard) =>
    original(yard, { clusters: 6, externalSeed: 4 }),
  ),
  independence('inflate', 'a closed clone of an external snapshot', function* (yard) {
    yield* original(yard, { clusters: 6, externalSeed: 4 });
    yield* yard.snapshot('a', 's1');
    yield* fill(yard, 'a', 2, 70);
    yield* yard.close('a');
  }),
  independence('decouple', 'a clone in a chain of three', (yard) => chain(yard, { clusters: 9, isThin: true })),
  independence('decouple', 'a clone of a thick snapshot', function* (yard) {
    yield* original(yard, { clusters: 6 });
    yield* yard.snapshot('a', 's2');
    yield* fill(yard, 'a', 2, 70);
  }),
  independence('decouple', 'a large clone', (yard) => chain(yard, { clusters: 540, isThin: true }), { sizes: LARGE }),
];

function snapshotDeletion(
  name: string,
  snapshot: string,
  prepare: (yard: Yard) => Steps<void>,
  more: Partial<Scenario> = {},
): Scenario {
  return scenario({
    name: `delete ${name}`,
    prepare,
    *run(yard) {
      yield* yard.store.deleteBlob(yard.id(snapshot));
      return undefined;
    },
    apply: (oracle, yard) => forgetSnapshot(oracle, yard.id(snapshot)),
    mayHide: 'a hollow snapshot that cannot be written is deleted all the same',
    ...more,
  });
}

function forgetSnapshot(oracle: Oracle, id: bigint): void {
  const { parent } = oracle.of(id);
  oracle.blobs.delete(id);
  for (const state of oracle.blobs.values()) if (state.parent === id) state.parent = parent;
}

export const DELETE_SNAPSHOT_SCENARIOS: readonly Scenario[] = [
  snapshotDeletion('the last snapshot of a chain, clone open', 's2', (yard) =>
    chain(yard, { clusters: 9, isThin: true }),
  ),
  snapshotDeletion('the first snapshot of a chain', 's1', (yard) => chain(yard, { clusters: 9, isThin: true })),
  snapshotDeletion('the last snapshot of a chain, clone closed', 's2', function* (yard) {
    yield* chain(yard, { clusters: 9, isThin: true, xattrs: longXattrs(2, 1) });
    yield* yard.close('a');
  }),
  snapshotDeletion('the snapshot of a thick blob', 's', function* (yard) {
    yield* original(yard, { clusters: 6 });
    yield* yard.snapshot('a', 's');
    yield* fill(yard, 'a', 2, 50);
  }),
  snapshotDeletion('a snapshot with an external one behind', 's', function* (yard) {
    yield* original(yard, { clusters: 9, externalSeed: 12 });
    yield* yard.snapshot('a', 's');
    yield* fill(yard, 'a', 2, 50);
  }),
  snapshotDeletion('the snapshot of a smaller clone', 's2', function* (yard) {
    yield* chain(yard, { clusters: 9, isThin: true });
    yield* yard.resize('a', 4);
  }),
  snapshotDeletion('the thick snapshot of a smaller clone with nothing of its own', 's', function* (yard) {
    yield* original(yard, { clusters: 9 });
    yield* yard.snapshot('a', 's');
    yield* yard.resize('a', 4);
  }),
  snapshotDeletion('the snapshot of a larger clone', 's2', function* (yard) {
    yield* chain(yard, { clusters: 9, isThin: true });
    yield* yard.resize('a', 15);
  }),
  snapshotDeletion('the snapshot of a large clone', 's2', (yard) => chain(yard, { clusters: 540, isThin: true }), {
    sizes: LARGE,
  }),
  snapshotDeletion(
    'the snapshot of a large clone that became smaller',
    's2',
    function* (yard) {
      yield* chain(yard, { clusters: 540, isThin: true });
      yield* yard.resize('a', 300);
    },
    { sizes: LARGE },
  ),
  snapshotDeletion('a clone', 'a', function* (yard) {
    yield* chain(yard, { clusters: 9, isThin: true });
    yield* yard.close('a');
  }),
];

/** A scenario with a write into a clone, which is a copy-on-write. */
function cloneWrite(
  name: string,
  prepare: (yard: Yard) => Steps<void>,
  cluster: number,
  isPart: boolean,
  sizes?: Scenario['sizes'],
): Scenario {
  const bytes = (yard: Yard) => yard.payload(1, 321).slice(0, isPart ? yard.store.geometry.ioUnitBytes : undefined);
  return scenario({
    name: `write ${isPart ? 'a part of a cluster' : 'a cluster'} of ${name}`,
    sizes,
    prepare,
    *run(yard) {
      yield* yard.writeOnly('a', cluster * yard.store.geometry.ioUnitsPerCluster, bytes(yard));
      return undefined;
    },
    apply: (oracle, yard) => yard.wrote(yard.id('a'), yard.bytesOf(cluster), bytes(yard), oracle),
    isDurable: (durability) => durability === 'process-crash',
  });
}

export const COPY_ON_WRITE_SCENARIOS: readonly Scenario[] = [
  cloneWrite('a clone in a chain of three', (yard) => chain(yard, { clusters: 9, isThin: true }), 3, true),
  cloneWrite('a clone in a chain of three', (yard) => chain(yard, { clusters: 9, isThin: true }), 0, false),
  cloneWrite(
    'a new clone of a thick snapshot',
    function* (yard) {
      yield* original(yard, { clusters: 6 });
      yield* yard.snapshot('a', 's');
    },
    1,
    true,
  ),
  cloneWrite(
    'a clone of an external clone',
    function* (yard) {
      yield* original(yard, { clusters: 9, externalSeed: 14 });
      yield* yard.snapshot('a', 's');
    },
    2,
    true,
  ),
  cloneWrite('a large clone', (yard) => chain(yard, { clusters: 540, isThin: true }), 536, true, LARGE),
];
