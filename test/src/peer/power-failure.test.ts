/** Operations with a power cut at each of their device operations in turn, and the state after the next load. */

import { type Blob, INVALID_BLOB_ID, SuperBlock } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { CONFIGURATIONS, type Configuration, codeOf, Yard } from './fixture.js';

const CLUSTER_BYTES = 16 * 1024;
const PER_CLUSTER = 4;
const IO_MAX = 500;
const DURABILITIES = ['power-loss', 'process-crash'] as const;

interface Scene<State> {
  /** Prepares the state before the operation. All of it is synced. */
  set(yard: Yard): State;
  /** The operation that the power cut interrupts. */
  act(yard: Yard, state: State): void;
  /** Checks the store after the next load. `done`: the operation had ended before the cut. */
  check(yard: Yard, state: State, done: boolean): void;
}

/** Plays a scene once for each device operation, with a power cut at it, and a last time without a power cut. */
function interruptAtEach<State>(configuration: Configuration, scene: Scene<State>): void {
  for (const durability of DURABILITIES) {
    let done = false;
    for (let k = 1; !done; k++) {
      expect(k, 'the operation ends at last').toBeLessThan(IO_MAX);
      const store = { clusterBytes: CLUSTER_BYTES, durability };
      const yard = new Yard(configuration, { deviceBytes: 4 * 2 ** 20, store });
      const state = scene.set(yard);
      yard.device.cutPowerAt(k);
      done = codeOf(() => scene.act(yard, state)) === 'ok' && yard.device.isPowered;
      yard.device.clearFaults();
      yard.device.restorePower();
      yard.crash();
      expect(yard.store.damaged).toEqual([]);
      scene.check(yard, state, done);
      yard.finish();
    }
  }
}

function superOf(yard: Yard): SuperBlock {
  return new SuperBlock(yard.peek(0, 4096));
}

/** A blob over a snapshot over another one, each with clusters of its own. */
interface Chain {
  blob: bigint;
  upper: bigint;
  lower: bigint;
  contents: Map<bigint, Buffer>;
}

const CHAIN_CLUSTERS = 6;

function contentOf(yard: Yard, id: bigint): Buffer {
  const blob = yard.open(id);
  const bytes = Buffer.from(yard.read(blob, 0, CHAIN_CLUSTERS * PER_CLUSTER));
  yard.close(blob);
  return bytes;
}

function makeChain(yard: Yard): Chain {
  const blob = yard.make({ clusterCount: CHAIN_CLUSTERS, thin: true });
  const write = (clusters: readonly number[], seed: number) => {
    for (const cluster of clusters) yard.write(blob, cluster * PER_CLUSTER, 3, seed);
  };
  write([0, 1, 2], 1);
  const lower = yard.snapshot(blob);
  write([1, 3], 2);
  const upper = yard.snapshot(blob);
  write([0, 3, 4], 3);
  yard.close(blob);
  const contents = new Map([blob.id, upper, lower].map((id) => [id, contentOf(yard, id)]));
  return { blob: blob.id, upper, lower, contents };
}

function expectSame(yard: Yard, chain: Chain, ids: readonly bigint[]): void {
  for (const id of ids)
    expect(contentOf(yard, id).equals(chain.contents.get(id) ?? Buffer.alloc(0)), `blob ${id}`).toBe(true);
}

const SYNC: Scene<Blob> = {
  set: (yard) => {
    const blob = yard.make({ clusterCount: 3, thin: true });
    yard.write(blob, 0, 1, 1);
    yard.store.setXattr(blob, 'state', Uint8Array.of(1));
    yard.reload(); // the store is clean on disk now
    const again = yard.open(blob.id);
    yard.store.setXattr(again, 'state', Uint8Array.of(2));
    yard.store.setXattr(again, 'more', new Uint8Array(4000).fill(2)); // on a second page
    return again;
  },
  act: (yard, blob) => {
    const root = () => Buffer.from(yard.peek(yard.mdPageOffset(blob.page), 4096));
    const before = root();
    try {
      yard.sync(blob);
    } finally {
      // The store may be marked as clean only as long as the blob on disk has not changed.
      if (superOf(yard).clean === 1) expect(root().equals(before)).toBe(true);
      else expect(superOf(yard).clean).toBe(0);
    }
  },
  check: (yard, { id }, done) => {
    const blob = yard.open(id);
    const [state] = yard.store.getXattr(blob, 'state');
    expect(done ? [2] : [1, 2]).toContain(state);
    expect(yard.store.xattrNames(blob)).toEqual(state === 2 ? ['state', 'more'] : ['state']);
    yard.expectContent(blob, 0, 1, 1);
  },
};

const UNLOAD: Scene<bigint> = {
  set: (yard) => {
    const { id } = yard.make({ clusterCount: 3 });
    yard.closeAll();
    return id;
  },
  act: (yard) => {
    expect(superOf(yard).clean).toBe(0);
    yard.do(yard.store.unload());
    expect(superOf(yard).clean).toBe(1);
  },
  check: (yard, id, done) => {
    if (superOf(yard).clean === 0) expect(done).toBe(false);
    expect(yard.store.blobIds()).toEqual([id]); // from the masks where the disk says "clean", by recovery otherwise
    expect(yard.open(id).clusterCount).toBe(3);
    expect(yard.usage.freeClusters).toBe(yard.store.dataClusterCount - 3);
  },
};

const DELETE_SNAPSHOT: Scene<Chain> = {
  set: makeChain,
  act: (yard, chain) => yard.delete(chain.upper),
  check: (yard, chain, done) => {
    const { store } = yard;
    const isThere = store.blobIds().includes(chain.upper);
    if (done) expect(isThere).toBe(false);
    expectSame(yard, chain, isThere ? [chain.blob, chain.upper, chain.lower] : [chain.blob, chain.lower]);
    expect(store.parentOf(chain.blob)).toBe(isThere ? chain.upper : chain.lower);
    expect(store.clonesOf(chain.lower)).toEqual([isThere ? chain.upper : chain.blob]);
    if (isThere) {
      const snapshot = yard.open(chain.upper);
      expect([snapshot.isReadOnly, snapshot.internalId('SNAPRM')]).toEqual([true, undefined]);
      const clone = yard.open(chain.blob);
      store.verify(); // no cluster is both the snapshot's and the clone's
      yard.close(clone, snapshot);
      yard.delete(chain.upper);
      expectSame(yard, chain, [chain.blob, chain.lower]);
    }
    yard.delete(chain.lower);
    expectSame(yard, chain, [chain.blob]);
    const blob = yard.open(chain.blob);
    expect(blob.map.allocatedCount).toBe(5);
    expect(yard.usage.freeClusters).toBe(store.dataClusterCount - 5);
  },
};

const CREATE_SNAPSHOT: Scene<Chain> = {
  set: makeChain,
  act: (yard, chain) => yard.do(yard.store.createSnapshot(chain.blob, { name: Uint8Array.of(9) })),
  check: (yard, chain, done) => {
    const { store } = yard;
    const made = store.blobIds().filter((id) => !chain.contents.has(id));
    expect(made.length).toBeLessThanOrEqual(1);
    if (done) expect(made).toHaveLength(1);
    expectSame(yard, chain, [chain.blob, chain.upper, chain.lower]);
    const [snapshot = INVALID_BLOB_ID] = made;
    expect(store.parentOf(chain.blob)).toBe(made.length === 1 ? snapshot : chain.upper);
    if (made.length === 1) {
      const open = yard.open(snapshot);
      expect([open.isReadOnly, open.internalId('SNAPTMP')]).toEqual([true, undefined]);
      expect([...store.getXattr(open, 'name')]).toEqual([9]);
      yard.close(open);
      expect(contentOf(yard, snapshot).equals(chain.contents.get(chain.blob) ?? Buffer.alloc(0))).toBe(true);
      expect(store.parentOf(snapshot)).toBe(chain.upper);
      yard.delete(snapshot);
      expectSame(yard, chain, [chain.blob]);
    }
    expect(yard.open(chain.blob).map.allocatedCount).toBe(3);
  },
};

/** The first write after a snapshot, which is a copy-on-write. */
const FIRST_WRITE: Scene<Chain> = {
  set: makeChain,
  act: (yard, chain) => {
    const blob = yard.open(chain.blob);
    yard.write(blob, PER_CLUSTER + 1, 1, 8);
    yard.sync(blob);
  },
  check: (yard, chain, done) => {
    expectSame(yard, chain, [chain.upper, chain.lower]);
    const before = chain.contents.get(chain.blob) ?? Buffer.alloc(0);
    const after = Buffer.from(before);
    after.set(yard.payload(8, 1), (PER_CLUSTER + 1) * 4096);
    const found = contentOf(yard, chain.blob);
    expect((!done && found.equals(before)) || found.equals(after)).toBe(true);
  },
};

describe.each(CONFIGURATIONS)('device copy $canCopy, extent table $useExtentTable', (configuration) => {
  it('keeps the clean flag true to the metadata when a sync is interrupted', () =>
    interruptAtEach(configuration, SYNC));
  it('says clean only at the end of an unload', () => interruptAtEach(configuration, UNLOAD));
  it('keeps or removes a snapshot whose deletion is interrupted', () =>
    interruptAtEach(configuration, DELETE_SNAPSHOT));
  it('keeps or removes a snapshot whose making is interrupted', () => interruptAtEach(configuration, CREATE_SNAPSHOT));
  it('keeps old data behind a first write that is interrupted', () => interruptAtEach(configuration, FIRST_WRITE));
});
