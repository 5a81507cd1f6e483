/** The text of a check's report, and of sizes. */

import type { CheckReport } from '@blobyard/core';
import { expect, test } from 'vitest';
import { reportText } from '../../../packages/blobyard/dist/cli/report-text.js';
import { sizeText } from '../../../packages/blobyard/dist/cli/text.js';

const summary = { blobCount: 1, usedClusters: 3, freeClusters: 5, mdPagesUsed: 2, wasClean: true };
const contents = '1 blob with 3 clusters and 2 metadata pages; 5 clusters free.';

function textOf(outcome: CheckReport['outcome'], ...findings: string[][]): string {
  return reportText({
    outcome,
    summary: findings.some(([kind]) => ABOUT_ALL.includes(kind)) ? undefined : summary,
    findings: findings.map(([kind, severity, message, became]) => {
      return { kind, severity, message, outcome: became } as CheckReport['findings'][number];
    }),
  });
}

/** The kinds of findings about the whole image. */
const ABOUT_ALL = ['no-store', 'unsupported', 'super-block'];

test('a report has a line for each finding, and a summary', () => {
  expect(textOf('clean')).toBe(`Nothing is wrong: ${contents}\n`);
  expect(textOf('clean', ['leak', 'note', 'odd', 'found'])).toBe(`note: odd\nNothing is wrong: ${contents}\n`);
  expect(textOf('left', ['leak', 'damage', 'bad\nand\u001b[1m', 'found'])).toBe(
    `damage: bad\\u{a}and\\u{1b}[1m\nDamaged: 1 finding; run check --repair to repair what can be repaired. Found: ${contents}\n`,
  );
  expect(textOf('repaired', ['leak', 'damage', 'bad', 'repaired'], ['page', 'note', 'odd', 'found'])).toBe(
    `damage (repaired): bad\nnote: odd\nRepaired: 1 finding. Now there are ${contents}\n`,
  );
  expect(textOf('left', ['leak', 'damage', 'bad', 'repaired'], ['chain', 'damage', 'worse', 'left'])).toBe(
    'damage (repaired): bad\ndamage (left): worse\n' +
      `Damaged: 1 finding; this cannot be repaired without losing something. Found: ${contents}\n`,
  );
});

test('a repair is advised only where it helps', () => {
  const advice = (...kinds: string[]) =>
    /; ([^.]*)\./.exec(textOf('left', ...kinds.map((kind) => [kind, 'damage', 'bad', 'found'])))?.[1];
  const help = 'run check --repair to repair what can be repaired';
  const none = 'this cannot be repaired without losing something';
  for (const kind of ['mask', 'leak', 'not-reserved', 'unlisted-blob', 'stray-root'])
    expect(advice(kind), kind).toBe(help);
  for (const kind of ['chain', 'extents', 'parent', 'lost-blob', 'page']) expect(advice(kind), kind).toBe(none);
  expect(advice('chain', 'mask')).toBe(help);
  expect(advice('chain', 'leak'), 'a damaged blob may have what seems to be nobody’s').toBe(none);
});

test('the text for an unchecked image says neither damaged nor repaired', () => {
  expect(textOf('unchecked', ['no-store', 'note', 'nothing', 'found'])).toBe(
    'note: nothing\nNot checked: there is no store here.\n',
  );
  expect(textOf('unchecked', ['unsupported', 'note', 'too new', 'found'])).toBe(
    'note: too new\nNot checked: this version cannot read the store.\n',
  );
  expect(textOf('left', ['super-block', 'damage', 'bad', 'found'])).toBe(
    'damage: bad\nDamaged: 1 finding; without its super block the store can be neither read nor repaired.\n',
  );
});

test('sizes are in the largest unit that fits', () => {
  const sizes = [0, 1, 1023, 1024, 1536, 2 ** 20, 10 * 2 ** 30, 2 ** 40 + 2 ** 39, 2 ** 53];
  const texts = ['0 bytes', '1 bytes', '1023 bytes', '1 KiB', '1.5 KiB', '1 MiB', '10 GiB', '1.5 TiB', '8 PiB'];
  expect(sizes.map(sizeText)).toEqual(texts);
});
