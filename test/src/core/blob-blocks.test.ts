/** The blocks of open blobs and the rows of channels, in shared memory. */

import { InvariantError } from '@blobyard/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BlobBlocks } from '../../../packages/core/dist/shared/blob-blocks.js';
import { ChannelTable } from '../../../packages/core/dist/shared/channel-table.js';
import { BLOB, CHANNEL, CHANNELS_MAX } from '../../../packages/core/dist/shared/layout.js';

const WORDS = [
  BLOB.FROZEN,
  BLOB.FLAGS,
  BLOB.CLUSTER_COUNT,
  BLOB.MAP_OFFSET,
  BLOB.BACK_KIND,
  BLOB.BACK_SLOT,
  BLOB.ID_PAGE,
];

describe('blob blocks', () => {
  test('a slot that is used again has another generation, and no values of its former blob', () => {
    const blocks = new BlobBlocks();
    const generations = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const slot = blocks.allocate();
      expect(slot).toBe(0);
      const generation = blocks.load(slot, BLOB.GENERATION);
      expect(generations.has(generation)).toBe(false);
      generations.add(generation);
      for (const word of WORDS) {
        expect(blocks.load(slot, word)).toBe(0);
        blocks.store(slot, word, 77);
      }
      blocks.free(slot);
      expect(blocks.load(slot, BLOB.GENERATION)).not.toBe(generation);
      expect([blocks.load(slot, BLOB.FLAGS), blocks.load(slot, BLOB.CLUSTER_COUNT)]).toEqual([0, 0]);
    }
  });

  test('a thread that sees the words of a freed slot cleared also sees its new generation', () => {
    const blocks = new BlobBlocks();
    const slot = blocks.allocate();
    blocks.store(slot, BLOB.FROZEN, 1);
    blocks.store(slot, BLOB.CLUSTER_COUNT, 5);
    const generation = blocks.load(slot, BLOB.GENERATION);
    const seen: boolean[] = [];
    const { store } = Atomics;
    const storeAndLook = (words: Int32Array, at: number, value: number): number => {
      const stored = store(words, at, value);
      seen.push(blocks.load(slot, BLOB.GENERATION) !== generation);
      return stored;
    };
    Object.assign(Atomics, { store: storeAndLook });
    try {
      blocks.free(slot);
    } finally {
      Object.assign(Atomics, { store });
    }
    expect(seen).toEqual([true, true, true]);
    expect(blocks.load(slot, BLOB.FROZEN)).toBe(0);
  });

  test('slots are allocated and freed as in a model, past the size of the first table', () => {
    const step = fc.record({ take: fc.boolean(), many: fc.nat({ max: 60 }), which: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25, size: 'max' }), (steps) => {
        const blocks = new BlobBlocks();
        const other = new BlobBlocks(blocks.buffer); // the view of another thread, made before any growth
        const open = new Map<number, number>();
        let tag = 1;
        for (const { take, many, which } of steps) {
          for (let round = 0; take && round < many; round++) {
            const slot = blocks.allocate();
            expect(open.has(slot)).toBe(false);
            blocks.store(slot, BLOB.ID_PAGE, tag);
            open.set(slot, tag++);
          }
          if (take || open.size === 0) continue;
          const slot = [...open.keys()][which % open.size];
          blocks.free(slot);
          open.delete(slot);
        }
        for (const [slot, mark] of open) {
          expect(blocks.load(slot, BLOB.ID_PAGE)).toBe(mark);
          expect(other.load(slot, BLOB.ID_PAGE)).toBe(mark);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a view that was made before the table grew sees the new blocks', () => {
    const blocks = new BlobBlocks();
    const other = new BlobBlocks(blocks.buffer);
    const before = blocks.buffer.byteLength;
    let slot = 0;
    for (let round = 0; round < 1000; round++) slot = blocks.allocate();
    blocks.store(slot, BLOB.CLUSTER_COUNT, 5);
    expect(blocks.buffer.byteLength).toBeGreaterThan(before);
    expect(other.load(slot, BLOB.CLUSTER_COUNT)).toBe(5);
  });

  test('adding to a word returns the new value', () => {
    const blocks = new BlobBlocks();
    const slot = blocks.allocate();
    expect([
      blocks.add(slot, BLOB.FROZEN, 1),
      blocks.add(slot, BLOB.FROZEN, 1),
      blocks.add(slot, BLOB.FROZEN, -1),
    ]).toEqual([1, 2, 1]);
  });
});

describe('the channel table', () => {
  test('gives each channel a row of its own, ENOMEM when none is left, and a released row again', () => {
    const table = new ChannelTable();
    const rows = Array.from({ length: CHANNELS_MAX }, (_, thread) => table.claim(thread));
    expect(new Set(rows).size).toBe(CHANNELS_MAX);
    expect(() => table.claim(1)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
    table.release(rows[17]);
    expect(new ChannelTable(table.buffer).claim(3)).toBe(rows[17]);
  });

  test('refuses to release a row with operations in it', () => {
    const table = new ChannelTable();
    const row = table.claim(0);
    table.counters(row).enter(5);
    expect(() => table.release(row)).toThrow(InvariantError);
    table.counters(row).leave(5);
    expect(() => table.release(row)).not.toThrow();
  });

  test('is drained of a blob exactly when no channel is inside a blob that has the same counter', () => {
    const step = fc.record({ row: fc.nat({ max: 3 }), slot: fc.nat({ max: 200 }), enter: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const table = new ChannelTable();
        const metadataThread = new ChannelTable(table.buffer);
        const rows = [0, 1, 2, 3].map((thread) => table.claim(thread));
        const inside: [number, number][] = [];
        for (const { row, slot, enter } of steps) {
          if (enter) {
            table.counters(rows[row]).enter(slot);
            inside.push([row, slot]);
          } else {
            const at = inside.findIndex(([which]) => which === row);
            if (at < 0) continue;
            const [[, left]] = inside.splice(at, 1);
            const counter = left % CHANNEL.INFLIGHT_COUNTERS;
            const same = inside.filter(
              ([which, other]) => which === row && other % CHANNEL.INFLIGHT_COUNTERS === counter,
            );
            expect(table.counters(rows[row]).leave(left)).toBe(same.length);
          }
          const counters = new Set(inside.map(([, other]) => other % CHANNEL.INFLIGHT_COUNTERS));
          expect(metadataThread.isDrained(slot)).toBe(!counters.has(slot % CHANNEL.INFLIGHT_COUNTERS));
        }
      }),
    );
  });
});
