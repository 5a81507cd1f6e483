/** Decoders accept any bytes: they return a result or `undefined`, do not throw, and always end. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DESCRIPTOR, type Descriptor, descriptorsOf } from '../../../packages/core/dist/format/descriptor.js';
import { decodeExtentPage, isExtentPage } from '../../../packages/core/dist/format/extent-page.js';
import { decodeExtentRle } from '../../../packages/core/dist/format/extent-rle.js';
import { decodeExtentTable } from '../../../packages/core/dist/format/extent-table.js';
import { decodeFlags } from '../../../packages/core/dist/format/flags.js';
import { decodeMask } from '../../../packages/core/dist/format/mask.js';
import { DESCRIPTORS_AT, DESCRIPTORS_BYTES, MdPageView } from '../../../packages/core/dist/format/md-page.js';
import { decodeXattr } from '../../../packages/core/dist/format/xattr.js';

const PAGE_END = DESCRIPTORS_AT + DESCRIPTORS_BYTES;

/**
 * Random bytes, and bytes like descriptors: of known types, with lengths that are small, at the limit, or far too
 * large.
 */
const noise = fc.uint8Array({ minLength: 4096, maxLength: 4096 });
const length = fc.oneof(
  fc.nat({ max: 64 }),
  fc.nat({ max: 5000 }),
  fc.constantFrom(4067, 4068, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
);
const lookalike = fc
  .record({
    background: fc.constantFrom(0, 1, 5, 255),
    descriptors: fc.array(
      fc.record({ type: fc.nat({ max: 8 }), length, words: fc.array(fc.nat(), { maxLength: 6 }) }),
      {
        maxLength: 40,
        size: 'max',
      },
    ),
  })
  .map(({ background, descriptors }) => {
    const bytes = new Uint8Array(4096).fill(background);
    const view = new DataView(bytes.buffer);
    let at = DESCRIPTORS_AT;
    for (const descriptor of descriptors) {
      if (at + 5 + 24 > PAGE_END) break;
      view.setUint8(at, descriptor.type);
      view.setUint32(at + 1, descriptor.length, true);
      descriptor.words.forEach((word, index) => {
        view.setUint32(at + 5 + index * 4, word, true);
      });
      at += 5 + Math.min(descriptor.length, 4096);
    }
    return bytes;
  });
const hostile = fc.oneof(noise, lookalike);

function decode(page: MdPageView, { type, payloadAt, payloadBytes }: Descriptor): unknown {
  const { bytes, view } = page;
  switch (type) {
    case DESCRIPTOR.FLAGS:
      return decodeFlags(view, payloadAt, payloadBytes);
    case DESCRIPTOR.XATTR:
    case DESCRIPTOR.XATTR_INTERNAL:
      return decodeXattr(bytes, view, payloadAt, payloadBytes);
    case DESCRIPTOR.EXTENT_RLE:
      return decodeExtentRle(view, payloadAt, payloadBytes);
    case DESCRIPTOR.EXTENT_TABLE:
      return decodeExtentTable(view, payloadAt, payloadBytes);
    case DESCRIPTOR.EXTENT_PAGE: {
      const extent = decodeExtentPage(view, payloadAt, payloadBytes);
      if (extent) for (let at = 0; at < extent.clusterCount; at++) extent.clusterAt(at);
      return extent;
    }
    default:
      return undefined;
  }
}

test('the walk over descriptors goes forward and ends, and every decoder accepts what it finds', () => {
  fc.assert(
    fc.property(hostile, (bytes) => {
      const page = new MdPageView(bytes);
      let before = DESCRIPTORS_AT;
      let count = 0;
      for (const descriptor of descriptorsOf(page.view)) {
        expect(descriptor.payloadAt).toBeGreaterThan(before);
        before = descriptor.payloadAt;
        expect(++count).toBeLessThanOrEqual(DESCRIPTORS_BYTES / 5);
        expect(descriptor.fits).toBe(descriptor.payloadAt + descriptor.payloadBytes <= PAGE_END);
        if (descriptor.fits) decode(page, descriptor);
      }
    }),
    { numRuns: 1000 },
  );
});

test('every decoder accepts any bytes at any offset of a page', () => {
  fc.assert(
    fc.property(hostile, fc.nat({ max: DESCRIPTORS_BYTES }), fc.nat({ max: 6 }), fc.nat(), (bytes, at, type, more) => {
      const page = new MdPageView(bytes);
      const payloadAt = DESCRIPTORS_AT + at;
      const payloadBytes = more % (PAGE_END - payloadAt + 1);
      decode(page, { type, payloadAt, payloadBytes, fits: true });
    }),
    { numRuns: 2000 },
  );
});

test('the codecs of pages and masks accept any bytes', () => {
  fc.assert(
    fc.property(hostile, fc.boolean(), (bytes, sealed) => {
      const page = new MdPageView(bytes);
      if (sealed) page.seal();
      const isOne = isExtentPage(page);
      if (!sealed) expect(isOne && !page.isSealed).toBe(false);
      decodeMask(bytes);
      expect(page.isSealed || !sealed).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
