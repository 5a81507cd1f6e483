/** The lists in the arena of cluster maps (two levels) against plain arrays, and the memory that they take. */

import { BlobstoreError, InvariantError } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ArenaTable } from '../../../packages/core/dist/blob/arena-table.js';
import { MapArena } from '../../../packages/core/dist/shared/map-arena.js';

interface Model {
  tables: { table: ArenaTable; entries: number[] }[];
  next: number;
}

type Step = {
  kind: 'make' | 'extend' | 'fill' | 'truncate' | 'set' | 'unset' | 'clear' | 'free';
  at: number;
  amount: number;
};
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('make', 'extend', 'extend', 'fill', 'truncate', 'set', 'set', 'unset', 'clear', 'free'),
  at: fc.nat(),
  amount: fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 5000 }), fc.constantFrom(15, 16, 17, 511, 512, 513, 8192, 8193)),
});

function apply(model: Model, arena: MapArena, { kind, at, amount }: Step): void {
  if (kind === 'make' || model.tables.length === 0) {
    model.tables.push({ table: new ArenaTable(arena), entries: [] });
    return;
  }
  const { table, entries } = model.tables[at % model.tables.length];
  const every = 1 + (amount % 700);
  switch (kind) {
    case 'extend':
    case 'fill':
      table.extend(amount, kind === 'fill');
      while (entries.length < amount) entries.push(0);
      break;
    case 'truncate':
      table.truncate(amount);
      entries.length = Math.min(entries.length, amount);
      break;
    case 'set':
    case 'unset':
      for (let index = amount % 7; index < entries.length; index += every) {
        entries[index] = kind === 'set' ? model.next++ : 0;
        table.set(index, entries[index]);
      }
      break;
    case 'clear':
      table.clear();
      entries.fill(0);
      break;
    default:
      table.free();
      model.tables.splice(at % model.tables.length, 1);
  }
}

function allocatedIn(entries: readonly number[], start: number, end: number): [number, number][] {
  const found: [number, number][] = [];
  for (let index = start; index < Math.min(end, entries.length); index++) {
    if (entries[index] !== 0) found.push([entries[index], index]);
  }
  return found;
}

function checkAll({ tables }: Model, reader: MapArena, start: number, end: number): void {
  for (const { table, entries } of tables) {
    expect(table.count).toBe(entries.length);
    const read = entries.map((_, index) => table.get(index));
    const peeked = entries.map((_, index) => reader.peekIn(table.offset, index));
    expect(read).toEqual(entries);
    expect(peeked).toEqual(entries);
    const visited: [number, number][] = [];
    table.forEachSet((cluster, index) => visited.push([cluster, index]), start, end);
    expect(visited).toEqual(allocatedIn(entries, start, end));
    expect(table.countSet(end)).toBe(allocatedIn(entries, 0, end).length);
    const data = entries.findIndex((entry, index) => index >= start && entry !== 0);
    const hole = entries.findIndex((entry, index) => index >= start && entry === 0);
    const found = [true, false].map((isData) => reader.findIn(table.offset, start, entries.length, isData) ?? -1);
    expect(found).toEqual([data, hole]);
  }
}

test('maps of several blobs hold the values that were set, also as seen by another thread', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.nat({ max: 1200 }),
      fc.nat({ max: 6000 }),
      (steps, start, end) => {
        const arena = new MapArena();
        const reader = new MapArena(arena.buffer);
        const model: Model = { tables: [], next: 1 };
        for (const each of steps) apply(model, arena, each);
        checkAll(model, reader, start, end);
      },
    ),
    { numRuns: 300 },
  );
});

test('the memory of a map depends on its allocated entries, not on its length', () => {
  const arena = new MapArena();
  const table = new ArenaTable(arena);
  table.extend(4 * 2 ** 20); // 4 TiB in clusters of 1 MiB
  for (let index = 0; index < 64; index++) table.set(index, index + 1);
  table.set(4 * 2 ** 20 - 1, 65);
  expect(arena.buffer.byteLength).toBeLessThanOrEqual(2 ** 17); // 32 KiB of directory, two leaves of 2 KiB
  const found: number[] = [];
  table.forEachSet((_cluster, index) => found.push(index));
  expect(found).toEqual([...Array(64).keys(), 4 * 2 ** 20 - 1]);
});

test('memory that a map frees is used again', () => {
  const arena = new MapArena();
  const make = () => {
    const table = new ArenaTable(arena);
    table.extend(100);
    table.set(99, 1);
    table.extend(5000, true);
    table.truncate(600);
    table.extend(9000);
    table.set(8999, 1);
    table.free();
  };
  make();
  const { byteLength } = arena.buffer;
  for (let round = 0; round < 100; round++) make();
  expect(arena.buffer.byteLength).toBe(byteLength);
});

test('a map is unchanged after a change for which the arena has no room', () => {
  const arena = new MapArena(new SharedArrayBuffer(8192, { maxByteLength: 16384 }));
  const table = new ArenaTable(arena);
  table.extend(600);
  table.set(3, 7);
  const { offset } = table;
  const full = expect.objectContaining({ code: 'ENOMEM' });
  expect(() => table.extend(2 ** 24)).toThrow(full);
  expect(() => table.extend(5000, true)).toThrow(full);
  const hoard: number[] = [];
  try {
    for (;;) hoard.push(arena.allocate(512));
  } catch (error) {
    expect(error).toBeInstanceOf(BlobstoreError);
  }
  expect(() => table.set(599, 1)).toThrow(full);
  expect([table.offset, table.count, table.get(3), table.get(599), table.countSet(600)]).toEqual([
    offset,
    600,
    7,
    0,
    1,
  ]);
  table.set(599, 0); // needs no room
  arena.free(hoard[0], 512);
  table.set(599, 1);
  expect(table.get(599)).toBe(1);
});

test('lists that grow one after another use freed memory again, and the arena stays small', () => {
  const arena = new MapArena();
  for (let round = 0; round < 500; round++) {
    const list = new ArenaTable(arena);
    for (let count = 1; count <= 8192; count *= 2) list.extend(count);
    list.free();
  }
  expect(arena.buffer.byteLength).toBeLessThanOrEqual(8192 * 4 * 4);
});

test('new entries are 0, also in memory that another list has freed', () => {
  const arena = new MapArena();
  const before = new ArenaTable(arena);
  before.extend(64);
  for (let index = 0; index < 64; index++) before.set(index, 9);
  before.free();
  const after = new ArenaTable(arena);
  after.extend(64);
  for (let index = 0; index < 64; index++) expect(after.get(index)).toBe(0);
});

test('entries past the end are refused', () => {
  const list = new ArenaTable(new MapArena());
  list.extend(5);
  expect(() => list.get(5)).toThrow(InvariantError);
  expect(() => list.set(5, 1)).toThrow(InvariantError);
  list.truncate(2);
  expect(() => list.get(2)).toThrow(InvariantError);
  list.extend(5);
  expect(list.get(4)).toBe(0);
});
