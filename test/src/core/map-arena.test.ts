/** Runs in the arena of cluster maps against plain arrays. */

import { InvariantError } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ArenaRun } from '../../../packages/core/dist/blob/arena-run.js';
import { CLUSTERS_PER_LEAF, MapArena } from '../../../packages/core/dist/shared/map-arena.js';

/** Several lists in one arena, with what each should hold. */
interface Model {
  lists: { run: ArenaRun; entries: number[] }[];
  next: number;
}

function checkAll({ lists }: Model, reader: MapArena): void {
  for (const { run, entries } of lists) {
    expect(run.count).toBe(entries.length);
    for (let index = 0; index < entries.length; index++) {
      if (run.get(index) !== entries[index]) expect([index, run.get(index)]).toEqual([index, entries[index]]);
      if (reader.load(run.offset + index) !== entries[index]) {
        expect([index, reader.load(run.offset + index)]).toEqual([index, entries[index]]);
      }
    }
  }
}

type Step = { kind: 'make' | 'extend' | 'truncate' | 'set' | 'clear' | 'free'; list: number; amount: number };
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('make', 'extend', 'extend', 'truncate', 'set', 'set', 'clear', 'free'),
  list: fc.nat(),
  amount: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 3000 }), fc.constantFrom(15, 16, 17, 511, 512, 513)),
});

function apply(model: Model, arena: MapArena, { kind, list, amount }: Step): void {
  if (kind === 'make' || model.lists.length === 0) {
    model.lists.push({ run: new ArenaRun(arena), entries: [] });
    return;
  }
  const at = list % model.lists.length;
  const { run, entries } = model.lists[at];
  switch (kind) {
    case 'extend': {
      run.extend(amount);
      while (entries.length < amount) entries.push(0);
      break;
    }
    case 'truncate':
      run.truncate(amount);
      entries.length = Math.min(entries.length, amount);
      break;
    case 'set':
      for (let index = amount % 7; index < entries.length; index += 7) {
        run.set(index, model.next);
        entries[index] = model.next;
        model.next = (model.next + 0x1000_0001) % 0xffff_ffff;
      }
      break;
    case 'clear':
      run.clear();
      entries.fill(0);
      break;
    default:
      run.free();
      model.lists.splice(at, 1);
  }
}

test('lists grow, move, shrink and go without touching each other', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const arena = new MapArena();
      const reader = new MapArena(arena.buffer); // as another thread sees it
      const model: Model = { lists: [], next: 1 };
      for (const one of steps) apply(model, arena, one);
      checkAll(model, reader);
    }),
    { numRuns: 150 },
  );
});

test('a run that was given back is given out again', () => {
  const arena = new MapArena();
  const first = arena.allocate(100);
  const second = arena.allocate(100);
  arena.free(first, 100);
  expect(arena.allocate(128)).toBe(first);
  expect(arena.allocate(128)).toBeGreaterThan(second);
  arena.free(second, 65);
  expect(arena.allocate(127)).toBe(second);
});

test('lists that grow one after another use freed places again, and the arena stays small', () => {
  const arena = new MapArena();
  for (let round = 0; round < 500; round++) {
    const run = new ArenaRun(arena);
    for (let count = 1; count <= 8192; count *= 2) run.extend(count);
    run.free();
  }
  expect(arena.buffer.byteLength).toBeLessThanOrEqual(8192 * 4 * 4);
});

test('runs never overlap', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ count: fc.integer({ min: 0, max: 5000 }), drop: fc.boolean() })), (wanted) => {
      const arena = new MapArena();
      const held: [number, number][] = [];
      for (const { count, drop } of wanted) {
        const start = arena.allocate(count);
        if (drop) arena.free(start, count);
        else held.push([start, start + MapArena.runLength(count)]);
      }
      held.sort(([a], [b]) => a - b);
      for (let index = 1; index < held.length; index++)
        expect(held[index][0]).toBeGreaterThanOrEqual(held[index - 1][1]);
    }),
  );
});

test('new entries are 0, also in a place that another list has left', () => {
  const arena = new MapArena();
  const before = new ArenaRun(arena);
  before.extend(64);
  for (let index = 0; index < 64; index++) before.set(index, 9);
  before.free();
  const after = new ArenaRun(arena);
  after.extend(64);
  for (let index = 0; index < 64; index++) expect(after.get(index)).toBe(0);
});

test('entries past the end are refused', () => {
  const run = new ArenaRun(new MapArena());
  run.extend(5);
  expect(() => run.get(5)).toThrow(InvariantError);
  expect(() => run.set(5, 1)).toThrow(InvariantError);
  run.truncate(2);
  expect(() => run.get(2)).toThrow(InvariantError);
  run.extend(5);
  expect(run.get(4)).toBe(0);
});

test('an arena without room says ENOMEM, and goes on working', () => {
  const leafOfZeroes = CLUSTERS_PER_LEAF * 4;
  const arena = new MapArena(new SharedArrayBuffer(4096, { maxByteLength: leafOfZeroes + 8192 }));
  const start = arena.allocate(1024);
  const tooMuch = expect.objectContaining({ code: 'ENOMEM' });
  expect(() => arena.allocate(2048)).toThrow(tooMuch);
  expect(arena.allocate(1024)).toBe(start + 1024);
  expect(() => arena.allocate(1)).toThrow(tooMuch);
  arena.free(start, 1024);
  expect(arena.allocate(1000)).toBe(start);
});

test('a list that cannot grow keeps what it has', () => {
  const run = new ArenaRun(new MapArena(new SharedArrayBuffer(4096, { maxByteLength: 8192 })));
  run.extend(100);
  run.set(99, 7);
  expect(() => run.extend(5000)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
  expect([run.count, run.get(99)]).toEqual([100, 7]);
});
