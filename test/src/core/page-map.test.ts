/** The map with metadata pages as keys, against a `Map`. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageMap } from '../../../packages/core/dist/blob/page-map.js';
import type { MdPage } from '../../../packages/core/dist/units/units.js';

/** Pages from a small range, so that they are often set again and removed, and high ones that are far apart. */
const page = fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 0xffff_fffe })) as fc.Arbitrary<MdPage>;
const changes = fc.array(fc.record({ page, value: fc.option(fc.nat(), { nil: undefined }) }), {
  maxLength: 300,
  size: 'max',
});

test('holds the same entries as a Map, in ascending order of pages', () => {
  fc.assert(
    fc.property(changes, (changes) => {
      const map = new PageMap<number>();
      const model = new Map<MdPage, number>();
      for (const { page, value } of changes) {
        if (value === undefined) expect(map.delete(page)).toBe(model.delete(page));
        else {
          map.set(page, value);
          model.set(page, value);
        }
        expect(map.size).toBe(model.size);
        expect(map.has(page)).toBe(model.has(page));
      }
      const pages = [...model.keys()].sort((one, other) => one - other);
      expect(map.keys()).toEqual(pages);
      expect(map.values()).toEqual(pages.map((each) => model.get(each)));
      for (const { page } of changes) expect(map.get(page)).toBe(model.get(page));
    }),
  );
});

test('holds many pages, and finds the rest after every second one was removed', () => {
  const map = new PageMap<number>();
  for (let each = 0; each < 20_000; each++) map.set((each * 3) as MdPage, each);
  for (let each = 0; each < 20_000; each += 2) map.delete((each * 3) as MdPage);
  expect(map.size).toBe(10_000);
  expect(map.values()).toEqual(Array.from({ length: 10_000 }, (_, at) => 2 * at + 1));
  expect(map.get(3 as MdPage)).toBe(1);
  expect(map.has(0 as MdPage)).toBe(false);
});
