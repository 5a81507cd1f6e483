/** All tests that the tables of PEER-TESTS.md name exist. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const SOURCES = new URL('../', import.meta.url);
const TABLES = new URL('../../PEER-TESTS.md', import.meta.url);
const TEST_CALL = /\b(?:test|it|external)\(\s*(['`])((?:\\.|(?!\1).)*)\1/g;
const PEER_TESTS = 92;
const KNOWN_FAULTS = 29;

interface Row {
  readonly what: string;
  readonly files: readonly string[];
  readonly tests: readonly string[];
}

/** The rows of the tables in a text, without their heads. */
function rowsOf(markdown: string): Row[] {
  const rows: Row[] = [];
  for (const line of markdown.split('\n')) {
    const [, what, , files, tests] = line.split('|').map((cell) => cell.trim());
    if (tests === undefined || tests === 'test' || /^-+$/.test(tests)) continue;
    const fileNames = files.split('<br>').map((file) => file.replaceAll('`', ''));
    rows.push({ what, files: fileNames, tests: tests.split('<br>') });
  }
  return rows;
}

/** Patterns for the names of a file's tests. The values in a template may be any text. */
function testNames(file: string): RegExp[] {
  const source = readFileSync(new URL(file, SOURCES), 'utf8');
  return [...source.matchAll(TEST_CALL)].map(([, , name]) => {
    const parts = name.replaceAll("\\'", "'").split(/\$\{[^}]*\}/);
    return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.+')}$`);
  });
}

describe('PEER-TESTS.md', () => {
  const rows = rowsOf(readFileSync(TABLES, 'utf8'));

  it('has a row for each of the 92 tests and for each known fault', () => {
    expect(rows).toHaveLength(PEER_TESTS + KNOWN_FAULTS);
    expect(new Set(rows.map(({ what }) => what)).size).toBe(rows.length);
    expect(
      rows.slice(0, PEER_TESTS).every(({ what, files }) => /^`\w+`$/.test(what) && files[0].startsWith('peer/')),
    ).toBe(true);
    expect(rows.slice(PEER_TESTS).every(({ files }) => files[0].startsWith('known-faults/'))).toBe(true);
  });

  it('names only tests that exist', () => {
    const missing: string[] = [];
    for (const { what, files, tests } of rows) {
      const names = files.flatMap(testNames);
      for (const test of tests) if (!names.some((name) => name.test(test))) missing.push(`${what}: ${test}`);
    }
    expect(missing).toEqual([]);
  });
});
