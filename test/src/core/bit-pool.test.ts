/** The pool of clusters against a set of the indices that are allocated. */

import { BitArray, InvariantError, NONE_U32, SharedStore } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const CAPACITY_MAX = 400;

interface Model {
  capacity: number;
  taken: Set<number>;
}
type Real = SharedStore;

function lowestFree({ capacity, taken }: Model): number {
  for (let index = 0; index < capacity; index++) if (!taken.has(index)) return index;
  return NONE_U32;
}

function checkCounts(model: Model, { clusters, usedLock }: Real): void {
  expect(clusters.capacity).toBe(model.capacity);
  expect(clusters.freeCount).toBe(model.capacity - model.taken.size);
  usedLock.acquire();
  expect(clusters.countFree()).toBe(model.capacity - model.taken.size);
  usedLock.release();
}

/** A command executes the same operation on the pool and on the model. Both must return the same. */
abstract class PoolCommand implements fc.Command<Model, Real> {
  check(_: Readonly<Model>): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    real.locked(() => this.both(model, real));
    checkCounts(model, real);
  }

  protected abstract both(model: Model, real: Real): void;
  abstract toString(): string;
}

class Allocate extends PoolCommand {
  protected both(model: Model, { clusters }: Real): void {
    const expected = lowestFree(model);
    expect(clusters.allocate()).toBe(expected);
    if (expected !== NONE_U32) model.taken.add(expected);
  }
  toString = () => 'allocate';
}

class AllocateMany extends PoolCommand {
  constructor(readonly count: number) {
    super();
  }
  protected both(model: Model, { clusters }: Real): void {
    for (let round = 0; round < this.count; round++) {
      const expected = lowestFree(model);
      expect(clusters.allocate()).toBe(expected);
      if (expected !== NONE_U32) model.taken.add(expected);
    }
  }
  toString = () => `allocate ${this.count}`;
}

/** Frees an allocated cluster, and expects that it cannot be freed again. `choice` selects the cluster. */
class Free extends PoolCommand {
  constructor(readonly choice: number) {
    super();
  }
  override check(model: Readonly<Model>): boolean {
    return model.taken.size > 0;
  }
  protected both(model: Model, { clusters }: Real): void {
    const index = [...model.taken][this.choice % model.taken.size];
    clusters.free(index);
    model.taken.delete(index);
    expect(() => clusters.free(index)).toThrow(InvariantError);
    expect(clusters.isAllocated(index)).toBe(false);
  }
  toString = () => `free the one at ${this.choice}`;
}

class Look extends PoolCommand {
  constructor(readonly index: number) {
    super();
  }
  protected both(model: Model, { clusters }: Real): void {
    expect(clusters.isAllocated(this.index)).toBe(model.taken.has(this.index));
  }
  toString = () => `look at ${this.index}`;
}

class Grow extends PoolCommand {
  constructor(readonly more: number) {
    super();
  }
  override check(model: Readonly<Model>): boolean {
    return model.capacity + this.more <= CAPACITY_MAX;
  }
  protected both(model: Model, { clusters }: Real): void {
    model.capacity += this.more;
    clusters.grow(model.capacity);
  }
  toString = () => `grow by ${this.more}`;
}

/** Writes the mask of the pool, and reads it into another pool, as a load does. */
class ThroughMask extends PoolCommand {
  protected both(model: Model, { clusters }: Real): void {
    const mask = new Uint8Array(Math.ceil(model.capacity / 8));
    clusters.storeMask(mask);
    const bits = BitArray.private(model.capacity);
    bits.loadMask(mask);
    const other = create(model.capacity);
    other.locked(() => other.clusters.load(bits));
    checkCounts(model, other);
    expect(other.locked(() => other.clusters.allocate())).toBe(lowestFree(model));
  }
  toString = () => 'through a mask';
}

function create(capacity: number): SharedStore {
  return SharedStore.create({ clusterCount: capacity, clusterCountMax: CAPACITY_MAX, mdPageCount: 8 }, 0);
}

const commands = fc.commands(
  [
    fc.constant(new Allocate()),
    fc.integer({ min: 2, max: 80 }).map((count) => new AllocateMany(count)),
    fc.nat().map((choice) => new Free(choice)),
    fc.nat({ max: CAPACITY_MAX + 50 }).map((index) => new Look(index)),
    fc.nat({ max: 70 }).map((more) => new Grow(more)),
    fc.constant(new ThroughMask()),
  ],
  { maxCommands: 60, size: 'max' },
);

test('allocates the lowest free bit, frees bits, grows, and keeps a correct count', () => {
  fc.assert(
    fc.property(fc.nat({ max: 100 }), commands, (capacity, commands) => {
      fc.modelRun(() => ({ model: { capacity, taken: new Set<number>() }, real: create(capacity) }), commands);
    }),
    { numRuns: 200 },
  );
});

test('a second view of the pool sees every change of the first one, growth included', () => {
  const first = create(40);
  const second = new SharedStore(first.buffers, 1);
  first.locked(() => {
    for (let round = 0; round < 40; round++) first.clusters.allocate();
    first.clusters.grow(CAPACITY_MAX);
  });
  expect(second.clusters.freeCount).toBe(CAPACITY_MAX - 40);
  expect(second.locked(() => second.clusters.allocate())).toBe(40);
  second.locked(() => second.clusters.free(3));
  expect(first.locked(() => first.clusters.allocate())).toBe(3);
  expect(first.locked(() => first.clusters.allocate())).toBe(41);
});

test('every call except the count of free bits asserts that the lock is held', () => {
  const { clusters } = create(8);
  expect(clusters.freeCount).toBe(8);
  const calls = [
    () => clusters.allocate(),
    () => clusters.free(0),
    () => clusters.isAllocated(0),
    () => clusters.countFree(),
    () => clusters.grow(9),
    () => clusters.storeMask(new Uint8Array(1)),
    () => clusters.load(BitArray.private(8)),
  ];
  for (const call of calls) expect(call).toThrow(InvariantError);
});

test('refuses to shrink', () => {
  const store = create(8);
  expect(() => store.locked(() => store.clusters.grow(7))).toThrow(InvariantError);
});

test('loading leaves out bits past its end', () => {
  const store = create(10);
  const source = BitArray.private(100);
  for (const index of [0, 9, 10, 99]) source.set(index);
  store.locked(() => store.clusters.load(source));
  expect(store.clusters.freeCount).toBe(8);
});
