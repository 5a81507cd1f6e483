/** The super block and the masks, encoded and decoded. */

import { BlobstoreError, bstypeFromText, bstypeToText, SuperBlock } from '@blobyard/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMask, encodeMask, MASK, maskBitsMax, maskPages } from '../../../packages/core/dist/format/mask.js';
import { BitArray } from '../../../packages/core/dist/shared/bit-array.js';
import { u32, u64 } from './metadata-arbitraries.js';

const ANY_TYPE = new Uint8Array(16);
const range = fc.record({ start: u32, count: u32 });
const fields = fc.record({
  clean: u32,
  superBlobId: u64,
  clusterBytes: u32,
  pageMask: range,
  clusterMask: range,
  blobIdMask: range,
  metadata: range,
  bstype: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  sizeBytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  ioUnitBytes: u32,
  mdPageBytes: u32,
});

function codeOf(action: () => void): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof BlobstoreError) return error.code;
    throw error;
  }
  return undefined;
}

describe('the super block', () => {
  test('is decoded as it was encoded, and no two fields overlap', () => {
    fc.assert(
      fc.property(fields, fc.shuffledSubarray(Object.keys({ ...fc.sample(fields, 1)[0] })), (values, order) => {
        const block = SuperBlock.fresh();
        Object.assign(block, values);
        for (const name of order) Object.assign(block, { [name]: values[name as keyof typeof values] });
        block.seal();
        const read = new SuperBlock(block.bytes.slice());
        for (const [name, value] of Object.entries(values)) expect(read[name as keyof SuperBlock]).toEqual(value);
        expect([read.isSealed, read.hasSignature, read.version]).toEqual([true, true, 3]);
        expect(codeOf(() => read.validate(ANY_TYPE, Number.MAX_SAFE_INTEGER))).toBeUndefined();
      }),
    );
  });

  test('keeps the bytes that this version does not know', () => {
    fc.assert(
      fc.property(fields, fc.uint8Array({ minLength: 3996, maxLength: 3996 }), (values, unknown) => {
        const bytes = new Uint8Array(4096);
        bytes.set(unknown, 96);
        const block = new SuperBlock(bytes);
        Object.assign(block, values);
        block.seal();
        expect(bytes.subarray(96, 4092)).toEqual(unknown.subarray(0, 3996));
      }),
      { numRuns: 20 },
    );
  });

  test('is refused if any of its bits is changed', () => {
    const block = SuperBlock.fresh();
    block.seal();
    fc.assert(
      fc.property(fc.nat({ max: 4096 * 8 - 1 }), (bit) => {
        const damaged = new SuperBlock(block.bytes.slice());
        damaged.bytes[bit >>> 3] ^= 1 << (bit & 7);
        expect(codeOf(() => damaged.validate(ANY_TYPE, Number.MAX_SAFE_INTEGER))).toBe('EILSEQ');
      }),
    );
  });

  test('is refused if version, signature, type or size is wrong', () => {
    const made = (change: (block: SuperBlock) => void) => {
      const block = SuperBlock.fresh();
      block.bstype = bstypeFromText('mine');
      block.sizeBytes = 1 << 20;
      change(block);
      block.seal();
      return block;
    };
    const cases: [SuperBlock, string | undefined][] = [
      [made(() => undefined), undefined],
      [made((block) => block.bytes.set([1], 8)), undefined],
      [made((block) => block.bytes.set([2], 8)), undefined],
      [made((block) => block.bytes.set([0], 8)), 'EILSEQ'],
      [made((block) => block.bytes.set([4], 8)), 'EILSEQ'],
      [made((block) => block.bytes.set([0x73], 0)), 'EILSEQ'],
      [made((block) => Object.assign(block, { bstype: bstypeFromText('other') })), 'ENXIO'],
      [made((block) => Object.assign(block, { sizeBytes: (1 << 20) + 1 })), 'EILSEQ'],
    ];
    for (const [block, code] of cases) expect(codeOf(() => block.validate(bstypeFromText('mine'), 1 << 20))).toBe(code);
  });

  test('holds a type of up to 16 bytes of text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 16 }), (text) => {
        fc.pre(!text.includes('\0'));
        const bytes = new TextEncoder().encode(text).length;
        if (bytes > 16) expect(codeOf(() => bstypeFromText(text))).toBe('EINVAL');
        else expect(bstypeToText(bstypeFromText(text))).toBe(text);
      }),
    );
  });

  test('is refused if its bytes are random', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4096, maxLength: 4096 }), (bytes) => {
        expect(codeOf(() => new SuperBlock(bytes).validate(ANY_TYPE, Number.MAX_SAFE_INTEGER))).toBe('EILSEQ');
      }),
      { numRuns: 30 },
    );
  });
});

describe('a mask', () => {
  test('is decoded as it was encoded', () => {
    const bits = fc.array(fc.nat({ max: 69_999 }), { maxLength: 200, size: 'max' });
    const type = fc.constantFrom(MASK.USED_PAGES, MASK.USED_CLUSTERS, MASK.USED_BLOB_IDS);
    fc.assert(
      fc.property(type, fc.integer({ min: 1, max: 70_000 }), bits, (type, bitCount, set) => {
        const array = BitArray.private(bitCount);
        for (const bit of set) if (bit < bitCount) array.set(bit);
        const bytes = encodeMask(type, bitCount, maskPages(bitCount), (target) => array.storeMask(target));
        expect(bytes.length % 4096).toBe(0);
        const read = decodeMask(bytes);
        expect([read.type, read.bitCount]).toEqual([type, bitCount]);
        const back = BitArray.private(bitCount);
        back.loadMask(read.bits);
        expect(back.countSet()).toBe(array.countSet());
        for (const bit of set) if (bit < bitCount) expect(back.get(bit)).toBe(true);
        for (const bit of set) if (bit < bitCount) expect((read.bits[bit >>> 3] >>> (bit & 7)) & 1).toBe(1);
      }),
    );
  });

  test('takes the fewest pages that its bits fit into', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), (bitCount) => {
        const pages = maskPages(bitCount);
        expect(maskBitsMax(pages)).toBeGreaterThanOrEqual(bitCount);
        expect(maskBitsMax(pages - 1)).toBeLessThan(bitCount);
      }),
    );
    expect([maskPages(32_728), maskPages(32_729)]).toEqual([1, 2]);
  });
});
