/**
 * Finds out which blob has what. No cluster and no page may have two owners, except that a snapshot that was being
 * created or deleted shares with its counterpart, and with any blob if it will be removed. Overlaps are found by a
 * sweep over sorted runs. So the work depends on the number of runs, and not on their length, which a hostile page can
 * choose.
 */

import { BitArray } from '../shared/bit-array.js';
import { forEachPaced } from '../steps/paced.js';
import type { Steps } from '../steps/steps.js';
import { type Findings, rangeText } from './report.js';
import type { DeviceRun, SurveyedBlob } from './surveyed-blob.js';

/** What all blobs have together. */
export interface Owned {
  readonly clusters: BitArray;
  readonly pages: BitArray;
}

interface OwnedRun extends DeviceRun {
  readonly blob: SurveyedBlob;
}

export function* findOwners(
  blobs: readonly SurveyedBlob[],
  counts: { clusterCount: number; mdPageCount: number },
  findings: Findings,
): Steps<Owned> {
  const { shared } = new Overlaps(blobs, findings);
  const clusters = BitArray.private(counts.clusterCount);
  const clusterRuns: OwnedRun[] = [];
  const pageRuns: OwnedRun[] = [];
  yield* forEachPaced(blobs, (blob) => {
    for (const { first, end } of blob.runs) clusterRuns.push({ first, end, blob });
    for (const page of pagesOf(blob)) pageRuns.push({ first: page, end: page + 1, blob });
  });
  yield* sweep(clusterRuns, clusters, (first, end, one, other) => {
    const what = `${rangeText('cluster', first, end)} of the device`;
    shared('shared-clusters', what, one, other, { cluster: first });
  });
  const pages = BitArray.private(counts.mdPageCount);
  yield* sweep(pageRuns, pages, (page, _, one, other) => {
    shared('shared-page', `metadata page ${page}`, one, other, { page });
  });
  return { clusters, pages };
}

function pagesOf(blob: SurveyedBlob): number[] {
  return [...blob.chain, ...blob.extentPages];
}

type OnOverlap = (first: number, end: number, one: SurveyedBlob, other: SurveyedBlob) => void;

/**
 * Sets the bits of all runs, and reports each run that overlaps an earlier one. Runs of blobs that will be removed are
 * not reported.
 */
function* sweep(runs: OwnedRun[], bits: BitArray, onOverlap: OnOverlap): Steps<void> {
  runs.sort((a, b) => a.first - b.first || b.end - a.end);
  let reach: OwnedRun | undefined;
  let done = 0;
  yield* forEachPaced(runs, (run) => {
    for (let at = Math.max(done, run.first); at < run.end; at++) bits.set(at);
    done = Math.max(done, run.end);
    if (run.blob.goes) return;
    if (reach && run.first < reach.end) onOverlap(run.first, Math.min(run.end, reach.end), reach.blob, run.blob);
    if (!reach || run.end > reach.end) reach = run;
  });
}

/**
 * Reports overlaps. If one of two blobs is damaged already, only that one is reported: its claim is not trusted against
 * a sound blob.
 */
class Overlaps {
  readonly #damaged: ReadonlySet<SurveyedBlob>;
  readonly #findings: Findings;

  constructor(blobs: readonly SurveyedBlob[], findings: Findings) {
    this.#damaged = new Set(blobs.filter(({ isDamaged }) => isDamaged));
    this.#findings = findings;
  }

  readonly shared = (
    kind: 'shared-clusters' | 'shared-page',
    what: string,
    one: SurveyedBlob,
    other: SurveyedBlob,
    place: { cluster?: number; page?: number },
  ): void => {
    if (areCounterparts(one, other)) return;
    const guilty = [one, other].filter((blob) => this.#damaged.has(blob));
    for (const blob of guilty.length > 0 ? guilty : [one, other]) blob.isDamaged = true;
    const who = one === other ? `blob ${one.id} names it twice` : `both blob ${one.id} and blob ${other.id} name it`;
    this.#findings.damage(kind, `${what} has two owners: ${who}`, { blobId: (guilty[0] ?? other).id, ...place });
  };
}

/** True for a snapshot that was being created or deleted, and the blob that shares its clusters until that ends. */
function areCounterparts(one: SurveyedBlob, other: SurveyedBlob): boolean {
  return one !== other && (one.counterpartId === other.id || other.counterpartId === one.id);
}
