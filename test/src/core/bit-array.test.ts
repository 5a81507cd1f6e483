/** The bit array against an array of booleans. */

import { BitArray, InvariantError, NONE_U32 } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const capacity = fc.oneof(fc.integer({ min: 0, max: 70 }), fc.constantFrom(31, 32, 33, 63, 64, 65, 1000));

/** A bit array, and the bits that it must hold. They come in runs, so that whole words are also full or empty. */
const filled = fc
  .record({
    capacity,
    runs: fc.array(fc.record({ start: fc.nat({ max: 1000 }), length: fc.nat({ max: 80 }), set: fc.boolean() }), {
      maxLength: 12,
      size: 'max',
    }),
  })
  .map(({ capacity, runs }) => {
    const model: boolean[] = Array.from({ length: capacity }, () => false);
    const bits = BitArray.private(capacity);
    for (const { start, length, set } of runs) {
      for (let index = start; index < Math.min(start + length, capacity); index++) {
        model[index] = set;
        if (set) bits.set(index);
        else bits.clear(index);
      }
    }
    return { bits, model };
  });

function firstFrom(model: readonly boolean[], from: number, wanted: boolean): number {
  const found = model.indexOf(wanted, from);
  return found < 0 ? NONE_U32 : found;
}

test('holds the bits that were set, and none past its end', () => {
  fc.assert(
    fc.property(filled, fc.nat({ max: 2000 }), ({ bits, model }, past) => {
      expect(bits.capacity).toBe(model.length);
      expect(model.map((_, index) => bits.get(index))).toEqual(model);
      expect(bits.get(model.length + past)).toBe(false);
      expect(bits.countSet()).toBe(model.filter(Boolean).length);
    }),
  );
});

test('finds the lowest set bit and the lowest clear bit from any start', () => {
  fc.assert(
    fc.property(filled, ({ bits, model }) => {
      for (let from = 0; from <= model.length + 40; from++) {
        expect(bits.findFirstSet(from)).toBe(firstFrom(model, from, true));
        expect(bits.findFirstClear(from)).toBe(firstFrom(model, from, false));
      }
    }),
  );
});

test('refuses to change a bit past the end', () => {
  fc.assert(
    fc.property(capacity, fc.nat({ max: 100 }), (capacity, past) => {
      const bits = BitArray.private(capacity);
      expect(() => bits.set(capacity + past)).toThrow(InvariantError);
      expect(() => bits.clear(capacity + past)).toThrow(InvariantError);
    }),
  );
});

test('reads a mask as it was written, and leaves out bits past its capacity', () => {
  fc.assert(
    fc.property(filled, capacity, ({ bits, model }, otherCapacity) => {
      const mask = new Uint8Array(200).fill(0xff);
      bits.storeMask(mask);
      for (let index = 0; index < model.length; index++)
        expect((mask[index >>> 3] >>> (index & 7)) & 1).toBe(model[index] ? 1 : 0);
      const other = BitArray.private(otherCapacity);
      if (otherCapacity > 0) other.set(otherCapacity - 1);
      other.loadMask(mask);
      const bitsInMask = Math.min(otherCapacity, model.length);
      for (let index = 0; index < bitsInMask; index++) expect(other.get(index)).toBe(model[index]);
      expect(other.findFirstSet(otherCapacity)).toBe(NONE_U32);
      const past = Array.from({ length: otherCapacity }, (_, index) => (mask[index >>> 3] >>> (index & 7)) & 1);
      expect(other.countSet()).toBe(past.filter((bit) => bit === 1).length);
    }),
  );
});

test('covers more bits after a rebase to a larger capacity', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 0, max: 100 }),
      fc.nat({ max: 99 }),
      (first, more, bit) => {
        const words = new Uint32Array(8);
        const bits = new BitArray(words, first);
        if (bit < first) bits.set(bit);
        bits.rebase(words, first + more);
        expect(bits.capacity).toBe(first + more);
        expect(bits.countSet()).toBe(bit < first ? 1 : 0);
        if (more > 0) bits.set(first + more - 1);
        expect(bits.get(first + more - 1)).toBe(first + more > 0 && (more > 0 || bit === first - 1));
      },
    ),
  );
});

test('adds the bits of another array, up to the end of the shorter one', () => {
  fc.assert(
    fc.property(filled, filled, (one, other) => {
      one.bits.add(other.bits);
      const expected = one.model.map((bit, index) => bit || other.model[index] === true);
      expect(one.model.map((_, index) => one.bits.get(index))).toEqual(expected);
      expect(one.bits.countSet()).toBe(expected.filter(Boolean).length);
      expect(one.bits.findFirstSet(one.model.length)).toBe(NONE_U32);
    }),
  );
});

test('refuses memory with too few words for its bits', () => {
  expect(() => new BitArray(new Uint32Array(1), 33)).toThrow(InvariantError);
  expect(() => new BitArray(new Uint32Array(2), 33)).not.toThrow();
});

test('sets and finds bits at the end of 2^27 bits', () => {
  const capacity = 2 ** 27;
  const bits = BitArray.private(capacity);
  bits.set(capacity - 1);
  expect(bits.findFirstSet(0)).toBe(capacity - 1);
  expect(bits.findFirstClear(capacity - 1)).toBe(NONE_U32);
});

test('includes another array if it has all of its bits, up to the end of the shorter one', () => {
  fc.assert(
    fc.property(filled, filled, fc.boolean(), (one, other, isAdded) => {
      if (isAdded) one.bits.add(other.bits);
      const reach = Math.min(one.model.length, other.model.length);
      const expected = other.model.slice(0, reach).every((isSet, index) => !isSet || isAdded || one.model[index]);
      expect(one.bits.includes(other.bits)).toBe(expected);
    }),
  );
});

test('sets all bits below a given end, and no other', () => {
  fc.assert(
    fc.property(filled, fc.nat(), ({ bits, model }, more) => {
      const end = more % (model.length + 1);
      bits.setBelow(end);
      expect(model.map((_, index) => bits.get(index))).toEqual(model.map((isSet, index) => isSet || index < end));
      expect(() => bits.setBelow(model.length + 1)).toThrow(InvariantError);
    }),
  );
});
