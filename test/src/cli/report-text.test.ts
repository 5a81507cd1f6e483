import type { CheckReport } from '@blobyard/core';
import { expect, test } from 'vitest';
import { reportText } from '../../../packages/blobyard/dist/cli/report-text.js';
import { sizeText } from '../../../packages/blobyard/dist/cli/text.js';

const summary = { blobCount: 1, usedClusters: 3, freeClusters: 5, mdPagesUsed: 2, wasClean: true };
const contents = '1 blob with 3 clusters and 2 metadata pages; 5 clusters free.';

function textOf(outcome: CheckReport['outcome'], repair: boolean, ...findings: string[][]): string {
  return reportText(
    {
      outcome,
      summary,
      findings: findings.map(([severity, message, became]) => {
        return { kind: 'leak', severity, message, outcome: became } as CheckReport['findings'][number];
      }),
    },
    repair,
  );
}

test('a report has a line for each finding, and a sentence', () => {
  expect(textOf('clean', false)).toBe(`Nothing is wrong: ${contents}\n`);
  expect(textOf('clean', false, ['note', 'odd', 'found'])).toBe(`note: odd\nNothing is wrong: ${contents}\n`);
  expect(textOf('left', false, ['damage', 'bad\nand\u001b[1m', 'found'])).toBe(
    `damage: bad\\u{a}and\\u{1b}[1m\nDamaged: 1 finding; --repair repairs what can be. Found: ${contents}\n`,
  );
  expect(textOf('repaired', true, ['damage', 'bad', 'repaired'], ['note', 'odd', 'found'])).toBe(
    `damage (repaired): bad\nnote: odd\nRepaired: 1 finding. Now there are ${contents}\n`,
  );
  expect(textOf('left', true, ['damage', 'bad', 'repaired'], ['damage', 'worse', 'left'])).toBe(
    'damage (repaired): bad\ndamage (left): worse\n' +
      `Damaged: 1 finding; this cannot be repaired without losing something. Found: ${contents}\n`,
  );
});

test('sizes are in the largest unit that fits', () => {
  const sizes = [0, 1, 1023, 1024, 1536, 2 ** 20, 10 * 2 ** 30, 2 ** 40 + 2 ** 39, 2 ** 53];
  const texts = ['0 bytes', '1 bytes', '1023 bytes', '1 KiB', '1.5 KiB', '1 MiB', '10 GiB', '1.5 TiB', '8 PiB'];
  expect(sizes.map(sizeText)).toEqual(texts);
});
