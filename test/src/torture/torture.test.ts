/** A short run of `npm run torture` in each mode; and tests that the oracle finds what is lost. */

import { describe, expect, test } from 'vitest';
import { type FoundBlob, Oracle } from './oracle.js';
import { putPattern } from './pattern.js';
import type { Operation } from './protocol.js';
import { DEFAULTS, torture } from './torture.js';

describe('nothing that was acknowledged is lost by a kill', () => {
  test.each([
    ['on one thread', { seed: 1, mode: 'inline', durability: 'power-loss' }],
    ['with I/O workers', { seed: 2, mode: 'pool', durability: 'process-crash' }],
    ['with attached threads', { seed: 3, mode: 'attached', durability: 'process-crash' }],
    ['with both', { seed: 4, mode: 'mixed', durability: 'power-loss' }],
  ] as const)('%s', { timeout: 120_000 }, async (_, chosen) => {
    const { findings, counts } = await torture({ ...DEFAULTS, ...chosen, rounds: 5, workMsMax: 250 });
    expect(findings).toEqual([]);
    expect(counts.acknowledged).toBeGreaterThan(0);
  });
});

describe('the oracle', () => {
  const CLUSTER = 4096;
  const content = (fill: (bytes: Uint8Array) => void = () => undefined): Uint8Array => {
    const bytes = new Uint8Array(2 * CLUSTER);
    fill(bytes);
    return bytes;
  };
  const xattrs = new Map([
    ['name', 'a'],
    ['tag', 't'],
  ]);
  const found = (bytes: Uint8Array): Map<string, FoundBlob> =>
    new Map([['a', { id: 1n, content: bytes, xattrs, isReadOnly: false }]]);
  const write = (at: number, length: number, token: number): Operation => ({
    kind: 'write',
    key: 'a',
    at,
    length,
    token,
  });

  /** An oracle that knows a thin blob whose first cluster was written and synced. */
  function knowing(): { oracle: Oracle; act: (...given: Operation[]) => void } {
    const oracle = new Oracle(CLUSTER);
    let number = 0;
    const act = (...given: Operation[]) => {
      for (const operation of given) {
        oracle.take({ begin: number, operation });
        oracle.take({ done: number++, id: '1' });
      }
    };
    act({ kind: 'create', key: 'a', bytes: 2 * CLUSTER, thin: true, tag: 't' }, write(0, CLUSTER, 7));
    oracle.compare(found(content((bytes) => putPattern(bytes, 0, CLUSTER, 7, 0))));
    return { oracle, act };
  }
  const first = (bytes: Uint8Array) => putPattern(bytes, 0, CLUSTER, 7, 0);

  test('finds that synced data is missing', () => {
    const { oracle } = knowing();
    oracle.compare(found(content()));
    expect(oracle.findings).toEqual([expect.stringMatching(/blob a, byte 0 /)]);
  });

  test('finds that a blob is missing, and that a deleted one is there', () => {
    const { oracle, act } = knowing();
    oracle.compare(new Map());
    expect(oracle.findings).toEqual(['blob a is gone']);
    const other = knowing();
    other.act({ kind: 'delete', key: 'a' });
    other.oracle.compare(found(content(first)));
    expect(other.oracle.findings).toEqual([expect.stringMatching(/blob a is there/)]);
    expect(() => act({ kind: 'inflate', key: 'a' })).toThrow('not known');
  });

  test('finds that an acknowledged write without a flush is missing', () => {
    const { oracle, act } = knowing();
    act(write(CLUSTER, 100, 9));
    oracle.compare(found(content(first)));
    expect(oracle.findings).toEqual([expect.stringMatching(/blob a, byte 4096 \(cluster 1\)/)]);
  });

  test('allows any part of a write that was under way, and no other bytes', () => {
    const { oracle } = knowing();
    const torn = (token: number) =>
      found(
        content((bytes) => {
          first(bytes);
          putPattern(bytes, 50, 50, token, 50);
        }),
      );
    oracle.take({ begin: 99, operation: write(0, 200, 11) });
    oracle.compare(torn(11));
    expect(oracle.findings).toEqual([]);
    oracle.take({ begin: 100, operation: write(0, 200, 12) });
    oracle.compare(torn(13));
    expect(oracle.findings).toEqual([expect.stringMatching(/under way: write/)]);
  });

  test('finds that an xattr is missing', () => {
    const { oracle, act } = knowing();
    act({ kind: 'xattr', key: 'a', name: 'x', value: 'y' });
    oracle.compare(found(content(first)));
    expect(oracle.findings).toEqual([expect.stringMatching(/xattr x: found undefined, not y/)]);
  });
});
