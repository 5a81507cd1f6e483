/** The catalogue of a store's blobs and their names, against a plain map. */

import { describe, expect, test } from 'vitest';
import { Catalogue } from '../../../packages/workers/dist/local/catalogue.js';
import { Random } from '../random.js';

const FIRST_ID = 1n << 32n;

describe('a catalogue', () => {
  test.each([1, 2, 3, 4])('stays in the order of ids when blobs come and go (seed %i)', (seed) => {
    const random = new Random(seed);
    const catalogue = new Catalogue();
    const model = new Map<bigint, string | undefined>();
    for (let step = 0; step < 2000; step++) {
      const id = FIRST_ID + BigInt(random.below(60));
      const name = random.below(2) === 0 ? `blob ${random.below(20)}` : undefined;
      if (random.below(10) < 6) {
        catalogue.add(id, name);
        model.set(id, name);
      } else {
        catalogue.remove(id);
        model.delete(id);
      }
      const ids = [...model.keys()].sort((one, other) => Number(one - other));
      expect(catalogue.pages().map((page) => FIRST_ID + BigInt(page))).toEqual(ids);
      expect(catalogue.pages().map((page) => catalogue.at(page)?.name)).toEqual(ids.map((each) => model.get(each)));
      const named = name === undefined ? [] : ids.filter((each) => model.get(each) === name);
      if (name !== undefined) expect(catalogue.find(name)).toBe(named[0]);
    }
    expect(catalogue.size).toBe(model.size);
  });

  test('knows an id by all of its bits', () => {
    const catalogue = new Catalogue();
    catalogue.add(FIRST_ID + 7n, 'seven');
    expect(catalogue.has(7n)).toBe(false);
    catalogue.remove(7n);
    expect(catalogue.nameOf(FIRST_ID + 7n)).toBe('seven');
  });

  test('is not sorted again for new blobs that have the highest page', () => {
    const catalogue = new Catalogue();
    const pages = catalogue.pages();
    for (let at = 0n; at < 100n; at++) catalogue.add(FIRST_ID + at, undefined);
    catalogue.remove(FIRST_ID + 99n);
    expect(catalogue.pages()).toBe(pages);
    expect(pages).toHaveLength(99);
  });
});
