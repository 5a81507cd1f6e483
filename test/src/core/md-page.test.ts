/** The header and trailer of a metadata page, and the walk over its descriptors. */

import { InvariantError } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { descriptorsOf, writeDescriptorHeader } from '../../../packages/core/dist/format/descriptor.js';
import { DESCRIPTORS_AT, DESCRIPTORS_BYTES, MdPageView } from '../../../packages/core/dist/format/md-page.js';
import type { MdPage } from '../../../packages/core/dist/units/units.js';
import { u32, u64 } from './metadata-arbitraries.js';

const PAGE_END = DESCRIPTORS_AT + DESCRIPTORS_BYTES;

test('id, sequence and link are read as they were written, and the crc is valid for exactly these bytes', () => {
  const frame = fc.record({ id: u64, sequence: u32, next: u32, damagedBit: fc.nat({ max: 4096 * 8 - 1 }) });
  fc.assert(
    fc.property(frame, ({ id, sequence, next, damagedBit }) => {
      const page = MdPageView.zeroed();
      page.start(id, sequence);
      expect([page.id, page.sequence, page.next]).toEqual([id, sequence, 0xffff_ffff]);
      page.link(next as MdPage);
      page.seal();
      expect([page.id, page.sequence, page.next, page.isSealed]).toEqual([id, sequence, next, true]);
      page.bytes[damagedBit >>> 3] ^= 1 << (damagedBit & 7);
      expect(page.isSealed).toBe(false);
    }),
  );
});

test('starting a page leaves its descriptors unchanged', () => {
  const page = MdPageView.zeroed();
  page.bytes.fill(0x5a);
  page.start(1n << 32n, 3);
  expect(page.bytes.subarray(DESCRIPTORS_AT, PAGE_END).every((byte) => byte === 0x5a)).toBe(true);
});

test('a page is a view of the bytes that it was given', () => {
  const bytes = new Uint8Array(3 * 4096);
  const page = new MdPageView(bytes, 4096);
  page.start(7n, 1);
  page.seal();
  expect(bytes[4096]).toBe(7);
  expect(bytes.subarray(0, 4096).every((byte) => byte === 0)).toBe(true);
  expect(new MdPageView(bytes, 4096).isSealed).toBe(true);
  expect(() => new MdPageView(bytes, 2 * 4096 + 4)).toThrow(InvariantError);
});

test('the walk visits descriptors in order, and skips paddings with a length', () => {
  const payloads = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 900 })), {
    maxLength: 20,
    size: 'max',
  });
  fc.assert(
    fc.property(payloads, (wanted) => {
      const page = MdPageView.zeroed();
      const written: number[][] = [];
      let at = DESCRIPTORS_AT;
      for (const [type, bytes] of wanted) {
        if (at + 5 + bytes > PAGE_END) break;
        const payloadAt = writeDescriptorHeader(page.view, at, type, bytes);
        if (type !== 0) written.push([type, payloadAt, bytes]);
        at = payloadAt + bytes;
      }
      const found = [...descriptorsOf(page.view)];
      expect(found.map(({ type, payloadAt, payloadBytes }) => [type, payloadAt, payloadBytes])).toEqual(written);
      expect(found.every(({ fits }) => fits)).toBe(true);
    }),
  );
});

test('the walk reports a descriptor that reaches past the page, and ends with it', () => {
  const page = MdPageView.zeroed();
  writeDescriptorHeader(page.view, DESCRIPTORS_AT, 2, DESCRIPTORS_BYTES - 5);
  expect([...descriptorsOf(page.view)].map(({ fits }) => fits)).toEqual([true]);
  writeDescriptorHeader(page.view, DESCRIPTORS_AT, 2, DESCRIPTORS_BYTES - 4);
  expect([...descriptorsOf(page.view)].map(({ fits }) => fits)).toEqual([false]);
  writeDescriptorHeader(page.view, DESCRIPTORS_AT, 2, 0xffff_ffff);
  expect([...descriptorsOf(page.view)].map(({ fits }) => fits)).toEqual([false]);
});

test('the walk ends where there is no room for another header', () => {
  const page = MdPageView.zeroed();
  writeDescriptorHeader(page.view, DESCRIPTORS_AT, 2, DESCRIPTORS_BYTES - 5 - 4);
  page.bytes.fill(0xff, PAGE_END - 4, PAGE_END);
  expect([...descriptorsOf(page.view)]).toHaveLength(1);
});
