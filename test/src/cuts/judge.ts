/** Makes disks of a recording, at random moments and with random outcomes of uncertain writes, and judges each disk. */

import { Random } from '../random.js';
import { type Cut, Disks } from './disks.js';
import { inspect } from './inspect.js';
import { Model } from './model.js';
import type { Recorded } from './recorded.js';
import { REQUEST, type RecordedRequest } from './recording.js';

/** A disk on which something is wrong. */
export interface WrongDisk {
  readonly cut: Cut;
  readonly disk: Uint8Array;
  readonly findings: readonly string[];
}

/**
 * Judges `count` disks, or fewer: it stops at the first that is wrong. Returns the number judged, and the wrong one.
 */
export async function judge(
  recorded: Recorded,
  count: number,
): Promise<{ judged: number; wrong: WrongDisk | undefined }> {
  const { image, dataStart, requests, told } = recorded;
  const disks = new Disks(image, dataStart, requests);
  const model = new Model(told);
  const cuts = drawCuts(recorded, count);
  for (const [index, cut] of cuts.entries()) {
    const disk = disks.after(cut, new Random(cut.seed, 'fate'));
    const { found, findings } = await inspect(disk, cut.kind, recorded);
    const wrong = findings.length > 0 ? findings : model.contradictions(cut, found);
    if (wrong.length > 0) return { judged: index + 1, wrong: { cut, disk: disk.slice(), findings: wrong } };
  }
  return { judged: cuts.length, wrong: undefined };
}

/** Random cuts, in the order of their moments. */
function drawCuts({ seed, end, requests, told }: Recorded, count: number): Cut[] {
  const random = new Random(seed, 'moments');
  const marks = marksOf(requests, told.changes, told.events);
  const cuts: Cut[] = [];
  for (let index = 0; index < count; index++) {
    const moment = drawMoment(random, marks, end);
    // With `process-crash` there are no write barriers, and no promise for a power cut.
    const isKill = told.durability === 'process-crash' || random.below(4) === 0;
    cuts.push({ kind: isKill ? 'kill' : 'power', moment, seed: random.next() });
  }
  return cuts.sort((one, other) => one.moment - other.moment);
}

/** Moments soon after which a cut is likely to find a fault. */
interface Marks {
  readonly acknowledged: readonly number[];
  readonly changes: readonly number[];
  readonly flushes: readonly number[];
}

interface Lasting {
  readonly begin: number;
  readonly end: number;
}

function marksOf(requests: readonly RecordedRequest[], changes: readonly Lasting[], events: readonly Lasting[]): Marks {
  const of = (isFlush: boolean) => requests.filter(({ kind }) => (kind === REQUEST.FLUSH) === isFlush);
  return {
    acknowledged: [...changes, ...events].map(({ end }) => end),
    changes: of(false).flatMap(({ begin, end }) => [begin, end]),
    flushes: of(true).flatMap(({ begin, end }) => [begin, end]),
  };
}

/** A random moment: any one, or one soon after a request has begun or ended. */
function drawMoment(random: Random, { acknowledged, changes, flushes }: Marks, end: number): number {
  const marks = [undefined, acknowledged, changes, flushes][random.below(4)];
  const mark = marks?.[random.below(Math.max(1, marks.length))];
  if (mark === undefined || mark > end) return 1 + random.below(end);
  return Math.min(end, mark + 1 + random.below(random.below(2) === 0 ? 1 : 8));
}
