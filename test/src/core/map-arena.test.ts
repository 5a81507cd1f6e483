/** Allocating and freeing runs of words in the arena of cluster maps. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LEAF_ENTRIES, MapArena } from '../../../packages/core/dist/shared/map-arena.js';

test('a run that was freed is allocated again', () => {
  const arena = new MapArena();
  const first = arena.allocate(100);
  const second = arena.allocate(100);
  arena.free(first, 100);
  expect(arena.allocate(128)).toBe(first);
  expect(arena.allocate(128)).toBeGreaterThan(second);
  arena.free(second, 65);
  expect(arena.allocate(127)).toBe(second);
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

test('an arena without room throws ENOMEM, and goes on working', () => {
  const leafOfZeroes = LEAF_ENTRIES * 4;
  const arena = new MapArena(new SharedArrayBuffer(4096, { maxByteLength: leafOfZeroes + 8192 }));
  const start = arena.allocate(1024);
  const tooMuch = expect.objectContaining({ code: 'ENOMEM' });
  expect(() => arena.allocate(2048)).toThrow(tooMuch);
  expect(arena.allocate(1024)).toBe(start + 1024);
  expect(() => arena.allocate(1)).toThrow(tooMuch);
  arena.free(start, 1024);
  expect(arena.allocate(1000)).toBe(start);
});
