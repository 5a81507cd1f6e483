/** The mask of used metadata pages, against a set. */

import { BitArray, InvariantError, type MdPage, NONE_U32, SharedStore } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';

interface Model {
  capacity: number;
  used: Set<number>;
}

function lowestFree({ capacity, used }: Model, from: number): number {
  for (let page = from; page < capacity; page++) if (!used.has(page)) return page;
  return NONE_U32;
}

function highestFree({ capacity, used }: Model, from: number, end: number): number {
  for (let page = Math.min(capacity, end) - 1; page >= from; page--) if (!used.has(page)) return page;
  return NONE_U32;
}

function create(capacity: number): SharedStore {
  return SharedStore.create({ clusterCount: 8, clusterCountMax: 8, mdPageCount: capacity }, 0);
}

abstract class PagesCommand implements fc.Command<Model, SharedStore> {
  check(_: Readonly<Model>): boolean {
    return true;
  }
  run(model: Model, store: SharedStore): void {
    store.locked(() => {
      this.both(model, store.pages);
      expect(store.pages.countUsed()).toBe(model.used.size);
    });
  }
  protected abstract both(model: Model, pages: SharedStore['pages']): void;
  abstract toString(): string;
}

class Find extends PagesCommand {
  constructor(
    readonly from: number,
    readonly end: number,
  ) {
    super();
  }
  protected both(model: Model, pages: SharedStore['pages']): void {
    expect(pages.findFree(this.from)).toBe(lowestFree(model, this.from));
    expect(pages.findLastFree(this.from, this.end)).toBe(highestFree(model, this.from, this.end));
  }
  toString = () => `find from ${this.from} to ${this.end}`;
}

/** Claims the lowest free page at or above `from`, as the engine does. */
class Claim extends PagesCommand {
  constructor(readonly from: number) {
    super();
  }
  protected both(model: Model, pages: SharedStore['pages']): void {
    const page = pages.findFree(this.from);
    expect(page).toBe(lowestFree(model, this.from));
    if (page === NONE_U32) return;
    pages.claim(page as MdPage);
    model.used.add(page);
    expect(() => pages.claim(page as MdPage)).toThrow(InvariantError);
  }
  toString = () => `claim from ${this.from}`;
}

class Release extends PagesCommand {
  constructor(readonly choice: number) {
    super();
  }
  override check(model: Readonly<Model>): boolean {
    return model.used.size > 0;
  }
  protected both(model: Model, pages: SharedStore['pages']): void {
    const page = [...model.used][this.choice % model.used.size];
    pages.release(page as MdPage);
    model.used.delete(page);
    expect(() => pages.release(page as MdPage)).toThrow(InvariantError);
    expect(pages.isUsed(page)).toBe(false);
  }
  toString = () => `release the one at ${this.choice}`;
}

class HasFree extends PagesCommand {
  constructor(
    readonly count: number,
    readonly from: number,
  ) {
    super();
  }
  protected both(model: Model, pages: SharedStore['pages']): void {
    let free = 0;
    for (let page = this.from; page < model.capacity; page++) if (!model.used.has(page)) free++;
    expect(pages.hasFree(this.count, this.from)).toBe(free >= this.count);
  }
  toString = () => `has ${this.count} free from ${this.from}`;
}

const from = fc.oneof(fc.constant(0), fc.constant(1), fc.nat({ max: 150 }));
const commands = fc.commands(
  [
    fc.tuple(from, fc.nat({ max: 150 })).map(([at, end]) => new Find(at, end)),
    from.map((at) => new Claim(at)),
    from.map((at) => new Claim(at)),
    fc.nat().map((choice) => new Release(choice)),
    fc.tuple(fc.nat({ max: 120 }), from).map(([count, at]) => new HasFree(count, at)),
  ],
  { maxCommands: 80, size: 'max' },
);

test('finds, claims and releases pages as a set does', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 120 }), commands, (capacity, commands) => {
      fc.modelRun(() => ({ model: { capacity, used: new Set<number>() }, real: create(capacity) }), commands);
    }),
    { numRuns: 200 },
  );
});

test('reads pages from a mask, and writes them to one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.array(fc.nat({ max: 199 })), (capacity, wanted) => {
      const used = new Set(wanted.filter((page) => page < capacity));
      const source = BitArray.private(capacity);
      for (const page of used) source.set(page);
      const store = create(capacity);
      const mask = new Uint8Array(Math.ceil(capacity / 8));
      store.locked(() => {
        store.pages.load(source);
        expect(store.pages.countUsed()).toBe(used.size);
        expect(store.pages.findFree(0)).toBe(lowestFree({ capacity, used }, 0));
        store.pages.storeMask(mask);
      });
      for (let page = 0; page < capacity; page++)
        expect((mask[page >>> 3] >>> (page & 7)) & 1).toBe(used.has(page) ? 1 : 0);
    }),
  );
});

test('asserts that the lock is held', () => {
  const { pages } = create(8);
  const calls = [
    () => pages.findFree(0),
    () => pages.isUsed(0),
    () => pages.claim(0 as MdPage),
    () => pages.countUsed(),
  ];
  for (const call of calls) expect(call).toThrow(InvariantError);
});
