/** The model allows every state that a disk may have after a cut, and no other. */

import type { Durability } from '@blobyard/core';
import { describe, expect, test } from 'vitest';
import { keepsAcknowledged } from '../killed-process.js';
import { FOREVER } from '../stress/history.js';
import { type MetadataEvent, THE_STORE } from '../stress/metadata-log.js';
import { BLOCKS_MAX, CHANGE, type ChangeKind, type LoggedChange, STATUS } from '../stress/shared-log.js';
import { BLOCK_BYTES, BLOCK_WORDS, putStamp, uniform, ZEROES } from '../stress/stamp.js';
import type { CutKind } from './disks.js';
import { type FoundBlob, Model } from './model.js';
import type { Told, ToldBlob } from './told.js';

const BLOCKS = 2;

/** A blob with a block for each token. */
function blobOf(tokens: readonly number[], fields: Partial<FoundBlob> = {}): FoundBlob {
  const words = new Uint32Array(tokens.length * BLOCK_WORDS);
  for (const [block, token] of tokens.entries()) {
    if (token !== ZEROES) putStamp(words, block * BLOCK_WORDS, token, block);
  }
  return { bytes: new Uint8Array(words.buffer), xattrs: new Map(), isReadOnly: false, ...fields };
}

function event(fields: Partial<MetadataEvent> & Pick<MetadataEvent, 'kind' | 'begin' | 'end'>): MetadataEvent {
  return { blob: 0, isDone: true, ...fields };
}

function change(
  kind: ChangeKind,
  token: number,
  begin: number,
  end: number,
  status: number = STATUS.DONE,
): LoggedChange {
  return { kind, blob: 0, first: 0, count: BLOCKS, begin, end, status, token };
}

const CREATED = event({ kind: 'create', name: 'a', blocks: BLOCKS, begin: 1, end: 3 });
const A: ToldBlob = {
  ...{ index: 0, name: 'a', contents: [], behind: [], isOverZeroes: true, truth: undefined, firstSnapshot: FOREVER },
};
const SNAPSHOT: ToldBlob = { ...A, index: 1, name: 's', truth: [uniform(1), uniform(1)] };

interface Situation {
  readonly blobs?: readonly ToldBlob[];
  readonly events?: readonly MetadataEvent[];
  readonly changes?: readonly LoggedChange[];
  readonly durability?: Durability;
  readonly namesCacheOwner?: boolean;
}

function contradictions(
  situation: Situation,
  moment: number,
  found: Readonly<Record<string, FoundBlob>>,
  kind: CutKind = 'power',
): string[] {
  const { blobs = [A], events = [CREATED], changes = [] } = situation;
  const { durability = 'power-loss', namesCacheOwner = false } = situation;
  const told: Told = { blobs, events, changes, durability, namesCacheOwner };
  return new Model(told).contradictions({ kind, moment, seed: 0 }, new Map(Object.entries(found)));
}

describe('of the blobs,', () => {
  const there = { a: blobOf([0, 0]) };

  test('one that is being made may be there', () => {
    expect(contradictions({}, 1, {})).toEqual([]);
    expect(contradictions({}, 1, there)).toEqual(['blob a is there before it was made']);
    expect(contradictions({}, 2, there)).toEqual([]);
    expect(contradictions({}, 2, {})).toEqual([]);
    expect(contradictions({}, 4, {})).toEqual(['blob a is not there']);
    expect(contradictions({}, 4, { ...there, b: blobOf([0]) })).toEqual(['blob b is there, and was never made']);
  });

  test('one that could not be made must not be there', () => {
    const situation = { blobs: [], events: [{ ...CREATED, isDone: false }] };
    expect(contradictions(situation, 2, there)).toEqual([]);
    expect(contradictions(situation, 4, there)).toEqual(['blob a is there, and could not be made']);
  });

  test('one that is being deleted may be there, and must be there if the deletion failed', () => {
    const deletion = event({ kind: 'delete', begin: 10, end: 12 });
    const situation = { events: [CREATED, deletion] };
    expect(contradictions(situation, 10, {})).toEqual(['blob a is not there']);
    expect(contradictions(situation, 11, {})).toEqual([]);
    expect(contradictions(situation, 11, there)).toEqual([]);
    expect(contradictions(situation, 13, there)).toEqual(['blob a is there again, and was deleted']);
    const failed = { events: [CREATED, { ...deletion, isDone: false }] };
    expect(contradictions(failed, 13, {})).toEqual(['blob a is not there']);
    expect(contradictions(failed, 13, there)).toEqual([]);
  });
});

describe('a block may have', () => {
  const flushOf = (begin: number, end: number, status?: number) => {
    return { ...change(CHANGE.FLUSH, 0, begin, end, status), count: 0 };
  };
  const writes = [change(CHANGE.WRITE, 1, 10, 12), change(CHANGE.WRITE, 2, 20, 22)];
  const finds = (situation: Situation, moment: number, tokens: number[], kind?: CutKind) =>
    contradictions(situation, moment, { a: blobOf(tokens) }, kind).length > 0;

  test('without a flush, any value that was ever written to it', () => {
    expect(finds({ changes: writes }, 30, [0, 1])).toBe(false);
    expect(finds({ changes: writes }, 30, [2, 2])).toBe(false);
    expect(finds({ changes: writes }, 20, [2, 1])).toBe(true); // the write of 2 had not begun
    expect(finds({ changes: writes }, 30, [3, 1])).toBe(true);
  });

  test('after a flush, the value acknowledged when the flush began, or a later one', () => {
    const flushed = (flush: LoggedChange) => ({ changes: [...writes, flush] });
    expect(finds(flushed(flushOf(14, 16)), 30, [0, 1])).toBe(true);
    expect(finds(flushed(flushOf(14, 16)), 30, [1, 2])).toBe(false);
    expect(finds(flushed(flushOf(14, 40)), 30, [0, 1])).toBe(false); // the flush is not acknowledged yet
    expect(finds(flushed(flushOf(11, 16)), 30, [0, 1])).toBe(false); // the flush began before the write had ended
    expect(finds(flushed(flushOf(14, 16, 28)), 30, [0, 1])).toBe(false); // the flush failed
    const store = event({ kind: 'flush', blob: THE_STORE, begin: 24, end: 26 });
    expect(finds({ changes: writes, events: [CREATED, store] }, 30, [1, 2])).toBe(true);
  });

  test.each([
    ['power-loss', false, false],
    ['power-loss', true, true],
    ['process-crash', false, true],
  ] as const)('after a kill, with %s, the owner of the cache named: %s', (durability, namesCacheOwner, isKept) => {
    const situation = { changes: writes, durability, namesCacheOwner };
    expect(keepsAcknowledged(durability, namesCacheOwner)).toBe(isKept);
    expect(finds(situation, 30, [1, 2], 'kill')).toBe(isKept);
    expect(finds(situation, 22, [1, 2], 'kill')).toBe(false);
    expect(finds(situation, 30, [2, 2], 'kill')).toBe(false);
  });

  test('after a snapshot, the value that the snapshot has, or a later one', () => {
    const snapshot = event({ kind: 'snapshot', blob: 1, of: 0, name: 's', begin: 24, end: 26 });
    const situation = { blobs: [A, SNAPSHOT], events: [CREATED, snapshot], changes: writes };
    const s = blobOf([1, 1], { isReadOnly: true });
    const found = (a: number[], more: Record<string, FoundBlob>) =>
      contradictions(situation, 25, { a: blobOf(a), ...more });
    expect(found([1, 2], {})).toEqual([]); // the snapshot is not on the disk yet
    expect(found([1, 2], { s })[0]).toMatch(/^blob a, block 0, settled until 24: found write 1/);
    expect(found([2, 2], { s })).toEqual([]);
  });

  test('no value that a shrink has cut off', () => {
    const events = [
      CREATED,
      event({ kind: 'resize', blocks: 0, begin: 14, end: 16 }),
      event({ kind: 'resize', blocks: BLOCKS, begin: 17, end: 19 }),
    ];
    const shrink = { ...change(CHANGE.SHRINK, 0, 14, 16), count: BLOCKS_MAX };
    const situation = { events, changes: [writes[0], shrink] };
    expect(finds(situation, 20, [1, 0])).toBe(true);
    expect(finds(situation, 20, [0, 0])).toBe(false);
    expect(finds({ ...situation, changes: [writes[0], { ...shrink, end: FOREVER, status: 0 }] }, 15, [1, 1])).toBe(
      false,
    );
  });

  test('no bytes that were never written', () => {
    const a = blobOf([1, 1]);
    a.bytes[BLOCK_BYTES + 3] ^= 1;
    expect(contradictions({ changes: writes }, 30, { a })[0]).toMatch('block 1: byte 0 is no stamp of the block');
  });
});

test('a snapshot never changes', () => {
  const birth = event({ kind: 'snapshot', blob: 1, of: 0, name: 's', begin: 24, end: 26 });
  const situation = { blobs: [SNAPSHOT], events: [birth] };
  const found = (tokens: number[], isReadOnly = true) =>
    contradictions(situation, 30, { s: blobOf(tokens, { isReadOnly }) });
  expect(found([1, 1])).toEqual([]);
  expect(found([1, 2])[0]).toMatch('blob s, a snapshot, block 1: found write 2');
  expect(found([1])).toEqual(['blob s has 1 blocks, the snapshot has 2']);
  expect(found([1, 1], false)).toEqual(['blob s: read-only is false']);
});

test('a snapshot and a clone begin with the xattrs of the blob that they are made of', () => {
  const set = (blob: number, value: string, begin: number, end: number) =>
    event({ kind: 'xattr', blob, xattr: { name: 'x', value }, begin, end });
  const events = [
    CREATED,
    set(0, '1', 5, 6),
    set(0, '2', 8, 12),
    event({ kind: 'snapshot', blob: 1, of: 0, name: 's', begin: 10, end: 14 }), // while '2' is being set
    event({ kind: 'clone', blob: 2, of: 1, name: 'c', blocks: BLOCKS, begin: 16, end: 18 }),
    set(2, '3', 20, 24),
  ];
  const blobs = [A, SNAPSHOT, { ...A, index: 2, name: 'c' }];
  const found = (name: 's' | 'c', moment: number, value: string | undefined) => {
    const xattrs = new Map(value === undefined ? [] : [['x', value]]);
    const fields = { xattrs, isReadOnly: name === 's' };
    const texts = contradictions({ blobs, events }, moment, { [name]: blobOf([0, 0], fields) });
    return texts.filter((text) => text.includes('xattr'));
  };
  for (const value of ['1', '2']) {
    expect(found('s', 30, value)).toEqual([]);
    expect(found('c', 19, value)).toEqual([]);
    expect(found('c', 22, value)).toEqual([]);
    expect(found('c', 30, value)).toHaveLength(1);
  }
  expect(found('c', 22, '3')).toEqual([]);
  expect(found('c', 30, '3')).toEqual([]);
  for (const value of [undefined, '3']) expect(found('s', 30, value)).toHaveLength(1);
  for (const value of [undefined, '4']) expect(found('c', 22, value)).toHaveLength(1);
});

test('sizes and xattrs must have the acknowledged value, or one that is being set', () => {
  const set = (value: string, begin: number, end: number) =>
    event({ kind: 'xattr', xattr: { name: 'x', value }, begin, end });
  const events = [
    CREATED,
    event({ kind: 'resize', blocks: 3, begin: 10, end: 12 }),
    set('1', 10, 12),
    set('2', 20, 22),
  ];
  const found = (moment: number, blocks: number, value?: string) => {
    const xattrs = new Map(value === undefined ? [] : [['x', value]]);
    return contradictions({ events }, moment, { a: blobOf(new Array(blocks).fill(0), { xattrs }) });
  };
  expect(found(11, 2)).toEqual([]);
  expect(found(11, 3, '1')).toEqual([]);
  expect(found(13, 2, '1')).toEqual(['blob a has 2 blocks, allowed 3']);
  expect(found(13, 3)[0]).toMatch('xattr x: found none');
  expect(found(21, 3, '1')).toEqual([]);
  expect(found(21, 3, '2')).toEqual([]);
  expect(found(23, 3, '1')[0]).toMatch('xattr x: found 1…');
});
