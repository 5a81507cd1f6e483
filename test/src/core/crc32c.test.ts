/** CRC-32C against published test vectors, and against a calculation bit by bit. */

import { crc32c, InvariantError } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';

/** CRC-32C by its definition, bit by bit: slow, but simple. */
function crc32cByBits(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

test('returns the values of the test vectors in RFC 3720, appendix B.4', () => {
  const up = Uint8Array.from({ length: 32 }, (_, index) => index);
  const vectors: [Uint8Array, number][] = [
    [new Uint8Array(32), 0x8a91_36aa],
    [new Uint8Array(32).fill(0xff), 0x62a8_ab43],
    [up, 0x46dd_794e],
    [up.slice().reverse(), 0x113f_db5c],
  ];
  for (const [bytes, crc] of vectors) expect(crc32c(bytes, 0, bytes.length)).toBe(crc);
});

test('an empty range has crc 0', () => {
  expect(crc32c(new Uint8Array(8), 4, 0)).toBe(0);
});

test('the bitwise reference of these tests returns the check value of the polynomial', () => {
  expect(crc32cByBits(new TextEncoder().encode('123456789'))).toBe(0xe306_9283);
});

test('agrees with the bitwise reference for any words, anywhere in a buffer', () => {
  const cases = fc.record({
    bytes: fc.uint8Array({ minLength: 0, maxLength: 300 }),
    before: fc.nat({ max: 8 }),
    start: fc.nat({ max: 8 }),
  });
  fc.assert(
    fc.property(cases, ({ bytes, before, start }) => {
      const whole = new Uint8Array((before + start) * 4 + bytes.length + 4);
      const window = whole.subarray(before * 4);
      window.set(bytes, start * 4);
      const byteCount = bytes.length - (bytes.length % 4);
      expect(crc32c(window, start * 4, byteCount)).toBe(crc32cByBits(bytes.subarray(0, byteCount)));
    }),
    { numRuns: 500 },
  );
});

test('agrees with the bitwise reference for a whole page', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4092, maxLength: 4092 }), (page) => {
      expect(crc32c(page, 0, 4092)).toBe(crc32cByBits(page));
    }),
    { numRuns: 20 },
  );
});

test('refuses ranges that are not whole words', () => {
  const bytes = new Uint8Array(16);
  expect(() => crc32c(bytes, 0, 3)).toThrow(InvariantError);
  expect(() => crc32c(bytes, 2, 4)).toThrow(InvariantError);
  expect(() => crc32c(bytes.subarray(1), 0, 4)).toThrow(InvariantError);
});
