/**
 * CRC-32C (Castagnoli, reflected, initial value and final xor all ones) by slicing-by-16: sixteen table look-ups
 * process sixteen bytes at once. Algorithm: M. Kounavis and F. Berry, "A Systematic Approach to Building High
 * Performance, Software-Based, CRC Generators", 2005.
 *
 * Most metadata pages are mostly zeroes, so the zero words before the last word take a shortcut: n zero bits multiply
 * the register by x^n modulo the polynomial, and a table holds these powers.
 */

import { assert } from '../units/error.js';

const POLYNOMIAL_REFLECTED = 0x82f6_3b78;
const SLICES = 16;
const TABLE = makeTable();

function makeTable(): Int32Array {
  const table = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
    table[byte] = crc;
  }
  for (let at = 256; at < table.length; at++) table[at] = (table[at - 256] >>> 8) ^ table[table[at - 256] & 0xff];
  return table;
}

/** The most zero words that one multiplication can skip. */
const ZERO_WORDS_MAX = 1024;
/** x^0 in reflected order. */
const ONE = 1 << 31;
const POWERS_OF_ZERO_WORDS = makePowers();

/** x^(32 n) modulo the polynomial, for n zero words. */
function makePowers(): Int32Array {
  const powers = new Int32Array(ZERO_WORDS_MAX + 1);
  let power = ONE;
  for (let words = 0; words <= ZERO_WORDS_MAX; words++) {
    powers[words] = power;
    for (let bit = 0; bit < 32; bit++) power = timesX(power);
  }
  return powers;
}

function timesX(polynomial: number): number {
  return (polynomial >>> 1) ^ (polynomial & 1 ? POLYNOMIAL_REFLECTED : 0);
}

/** The product of two polynomials, in reflected order, modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let left = a, right = b; left !== 0; left <<= 1) {
    if (left < 0) product ^= right;
    right = timesX(right);
  }
  return product;
}

/**
 * CRC-32C of `byteCount` bytes of `bytes` from `start` on, as an unsigned 32-bit number. Throws an `InvariantError` for
 * a range that is not aligned.
 * @param start - a multiple of 4 in the underlying buffer
 * @param byteCount - a multiple of 4
 */
export function crc32c(bytes: Uint8Array, start: number, byteCount: number): number {
  const wordCount = byteCount >>> 2;
  assert((bytes.byteOffset + start) % 4 === 0 && byteCount % 4 === 0, 'crc32c works on whole words');
  if (wordCount === 0) return 0;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, wordCount);
  const zeroWords = zeroWordsBeforeLast(words);
  let crc = update(-1, words, 0, wordCount - 1 - zeroWords);
  for (let left = zeroWords; left > 0; left -= ZERO_WORDS_MAX) {
    crc = multiply(crc, POWERS_OF_ZERO_WORDS[Math.min(left, ZERO_WORDS_MAX)]);
  }
  return ~update(crc, words, wordCount - 1, wordCount) >>> 0;
}

/** The number of zero words directly before the last word. */
function zeroWordsBeforeLast(words: Int32Array): number {
  const last = words.length - 1;
  let at = last;
  while (at >= 4 && (words[at - 1] | words[at - 2] | words[at - 3] | words[at - 4]) === 0) at -= 4;
  while (at > 0 && words[at - 1] === 0) at--;
  return last - at;
}

/** The CRC register after the words from `from` up to, not including, `to`. */
function update(register: number, words: Int32Array, from: number, to: number): number {
  const table = TABLE;
  let crc = register;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const a = crc ^ words[at];
    const b = words[at + 1];
    const c = words[at + 2];
    const d = words[at + 3];
    // biome-ignore format: one row for each of the four words
    crc =
      table[3840 + (a & 0xff)] ^ table[3584 + ((a >>> 8) & 0xff)] ^ table[3328 + ((a >>> 16) & 0xff)] ^ table[3072 + (a >>> 24)] ^
      table[2816 + (b & 0xff)] ^ table[2560 + ((b >>> 8) & 0xff)] ^ table[2304 + ((b >>> 16) & 0xff)] ^ table[2048 + (b >>> 24)] ^
      table[1792 + (c & 0xff)] ^ table[1536 + ((c >>> 8) & 0xff)] ^ table[1280 + ((c >>> 16) & 0xff)] ^ table[1024 + (c >>> 24)] ^
      table[768 + (d & 0xff)] ^ table[512 + ((d >>> 8) & 0xff)] ^ table[256 + ((d >>> 16) & 0xff)] ^ table[d >>> 24];
  }
  for (; at < to; at++) {
    const a = crc ^ words[at];
    // biome-ignore format: one row, with the tables of the last word above
    crc =
      table[768 + (a & 0xff)] ^ table[512 + ((a >>> 8) & 0xff)] ^ table[256 + ((a >>> 16) & 0xff)] ^ table[a >>> 24];
  }
  return crc;
}
