/**
 * A dozen seeds of `npm run cuts`; faults in the engine that the seeds must find; and tests of the disks and of the
 * recording.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Random } from '../random.js';
import { runCommandOf } from '../run-command.js';
import { allocateLog } from '../stress/shared-log.js';
import { type CutKind, Disks } from './disks.js';
import { judge } from './judge.js';
import { playSeed } from './play-seed.js';
import { readRecorded } from './recorded.js';
import { allocateRecording, REQUEST, type RecordedRequest, Recording, recordAnew } from './recording.js';

const command = (...args: string[]) => runCommandOf('cuts/main.js', args);
/**
 * These seeds have each mode at each durability level, on devices that answer at once and on those that answer later.
 */
const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);

describe('after any cut the disk has everything that must be there', () => {
  test.each(SEEDS)('seed %i', { timeout: 300_000 }, async (seed) => {
    const { failure, counts, text } = await playSeed(seed);
    if (failure)
      expect.unreachable(`npm run cuts -- --seeds 1 --start ${seed} (${text}): ${failure.findings.join('\n')}`);
    expect(counts.requests).toBeGreaterThan(500);
    expect(counts.disks).toBe(50);
  });
});

const NEVER = Number.POSITIVE_INFINITY;

describe('disks', () => {
  const PAGE = 4096;
  const DATA_START = 2 * PAGE;
  const write = (at: number, pages: number, value: number, begin: number, end: number): RecordedRequest => {
    const bytes = new Uint8Array(pages * PAGE).fill(value);
    return { kind: REQUEST.WRITE, at, length: bytes.length, bytes, begin, effect: end - 0.5, end };
  };
  const flush = (begin: number, end: number): RecordedRequest => {
    return { kind: REQUEST.FLUSH, at: 0, length: 0, bytes: undefined, begin, effect: end - 0.5, end };
  };
  /** The different contents of a page after many cuts at a moment. */
  const left = (requests: readonly RecordedRequest[], kind: CutKind, moment: number, at: number): Set<string> => {
    const disks = new Disks(new Uint8Array(4 * PAGE), DATA_START, requests);
    const found = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const disk = disks.after({ kind, moment, seed }, new Random(seed, 'test'));
      found.add([...new Set(disk.subarray(at, at + PAGE))].sort().join());
    }
    return found;
  };

  test('a power cut leaves all flushed writes, and any part of the others', () => {
    const requests = [write(0, 1, 1, 1, 2), flush(3, 4), write(0, 1, 2, 5, 6), write(DATA_START, 1, 3, 7, 8)];
    expect(left(requests, 'power', 4, 0)).toEqual(new Set(['0', '1'])); // the flush has not ended
    expect(left(requests, 'power', 5, 0)).toEqual(new Set(['1']));
    expect(left(requests, 'power', 9, 0)).toEqual(new Set(['1', '2'])); // a write of a metadata page is not torn
    expect(left(requests, 'power', 9, DATA_START)).toEqual(new Set(['0', '0,3', '3'])); // a write of data may be torn
  });

  test('a flush that began before a write had ended does not make it durable', () => {
    const requests = [write(0, 1, 1, 1, 3), flush(2, 4)];
    expect(left(requests, 'power', 5, 0)).toEqual(new Set(['0', '1']));
  });

  test('a kill leaves all writes that had ended, and any part of those under way', () => {
    const requests = [write(0, 1, 1, 1, 2), write(0, 2, 2, 3, NEVER), write(DATA_START, 1, 3, 9, 10)];
    expect(left(requests, 'kill', 3, 0)).toEqual(new Set(['1']));
    expect(left(requests, 'kill', 4, 0)).toEqual(new Set(['1', '2']));
    expect(left(requests, 'kill', 4, PAGE)).toEqual(new Set(['0', '2']));
    expect(left(requests, 'kill', 4, DATA_START)).toEqual(new Set(['0']));
  });

  test('of overlapping writes at once, the one stays that took effect last, whichever ended first', () => {
    const requests = [
      { ...write(0, 1, 1, 1, 4), effect: 3 },
      { ...write(0, 1, 2, 2, 5), effect: 2.5 },
    ];
    expect(left(requests, 'kill', 6, 0)).toEqual(new Set(['1']));
    expect(left(requests, 'power', 4.5, 0)).toEqual(new Set(['0', '1', '2']));
    expect(left([...requests, flush(6, 7)], 'power', 8, 0)).toEqual(new Set(['1']));
  });

  test('a disk does not depend on those that were made before it', () => {
    const requests = Array.from({ length: 40 }, (_, index) => {
      if (index % 5 === 4) return flush(2 * index + 1, 2 * index + 2);
      return write((index % 4) * PAGE, 1, index + 1, 2 * index + 1, 2 * index + 4);
    });
    const many = new Disks(new Uint8Array(4 * PAGE), DATA_START, requests);
    for (const moment of [10, 40, 41, 70, 5, 200]) {
      const cut = { kind: 'power', moment, seed: moment } as const;
      const one = new Disks(new Uint8Array(4 * PAGE), DATA_START, requests);
      const random = () => new Random(moment, 'test');
      expect(Buffer.compare(many.after(cut, random()), one.after(cut, random()))).toBe(0);
    }
  });
});

test('a recording has the moment when it was full, and stops the workload when it has enough', () => {
  const log = allocateLog({ operationsMax: 4, readsMax: 4 });
  const buffers = allocateRecording(log, { requestsMax: 4, bytesMax: 16, enough: 2 });
  const recording = new Recording(buffers);
  const written = recording.begin(REQUEST.WRITE, 4, 8, (bytes) => bytes.fill(7));
  recording.takeEffect(written, () => undefined);
  recording.end(written);
  const flushed = recording.begin(REQUEST.FLUSH, 0, 0);
  expect(recording.fullAt).toBe(Number.POSITIVE_INFINITY);
  expect(recording.begin(REQUEST.WRITE, 0, 16, () => expect.unreachable())).toBeUndefined();
  recording.end(flushed);
  expect(recording.fullAt).toBe(5);
  expect(recording.requests()).toEqual([
    { kind: REQUEST.WRITE, at: 4, length: 8, bytes: new Uint8Array(8).fill(7), begin: 1, effect: 2, end: 3 },
    { kind: REQUEST.FLUSH, at: 0, length: 0, bytes: undefined, begin: 4, effect: NEVER, end: 6 },
  ]);
  expect(new Int32Array(log.control)[1]).toBe(1);
  expect(new Recording(recordAnew(buffers, log)).requests()).toEqual([]);
});

/** Faults that lose so much that the first seeds find them in each mode, however the threads interleave. */
const FAULTS_SEEN_SOON: readonly (readonly [name: string, start: number])[] = [
  ['snapshot-deleted-before-adoption', 0],
  ['snapshot-not-persisted-before-original', 1],
  ['persist-root-barrier', 7],
  ['insertion-not-noted', 2],
];

describe('a fault in the engine of all threads is found', () => {
  test.each(FAULTS_SEEN_SOON)('%s, from seed %i on', { timeout: 300_000 }, async (name, start) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-cuts-test-'));
    try {
      const args = ['--without', name, '--start', String(start), '--seeds', '6', '--disks', '100', '--folder', folder];
      const { code, stdout } = await command(...args);
      expect(stdout).toMatch(/^Seed \d \(.*\) without /m);
      expect(stdout).toMatch(/^The disk after a (power cut|kill) at moment \d+:$/m);
      expect(code).toBe(1);
      const recording = readdirSync(folder).find((file) => file.endsWith('.recording')) as string;
      // The faulty engine has left this disk, so it is wrong for an engine without the fault, too.
      const replayed = await command('--replay', path.join(folder, recording), '--disks', '100');
      const first = (text: string) => text.slice(text.indexOf('The disk after')).split('\n', 1)[0];
      expect([first(replayed.stdout), replayed.code]).toEqual([first(stdout), 1]);
      const { wrong } = await judge(readRecorded(path.join(folder, recording)), 100);
      expect(wrong?.findings.length).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('the command lists the faults', async () => {
  expect((await command('--without', 'list')).stdout).toMatch(/^persist-data-barrier \(metadata\/persist.js\)$/m);
});
