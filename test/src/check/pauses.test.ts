/** The loops of a check over all blobs pause every 1024 blobs, so that the event loop can turn. */

import { describe, expect, test } from 'vitest';
import { checkFamilies, markGoing } from '../../../packages/core/dist/check/family.js';
import { findOwners } from '../../../packages/core/dist/check/owners.js';
import { Findings } from '../../../packages/core/dist/check/report.js';
import { SurveyedBlob } from '../../../packages/core/dist/check/surveyed-blob.js';
import type { BlobId, MdPage, Steps } from '../../../packages/core/dist/index.js';

const BLOBS = 5000;
/** The number of pauses in a loop over all blobs. */
const PER_LOOP = Math.floor(BLOBS / 1024);

function blobs(): Map<BlobId, SurveyedBlob> {
  const made = new Map<BlobId, SurveyedBlob>();
  for (let page = 0; page < BLOBS; page++) {
    const blob = new SurveyedBlob(page as MdPage);
    blob.chain.push(page as MdPage);
    blob.runs.push({ first: 10 + page, end: 11 + page });
    made.set(blob.id, blob);
  }
  return made;
}

/** Runs steps that do nothing but pause. Returns the number of pauses, and the result. */
function counted<T>(steps: Steps<T>): { pauses: number; result: T } {
  let pauses = 0;
  for (;;) {
    const step = steps.next();
    if (step.done) return { pauses, result: step.value };
    expect(step.value).toBeUndefined();
    pauses++;
  }
}

describe('a check pauses', () => {
  test('while it follows the parents of all blobs', () => {
    const findings = new Findings();
    expect(counted(markGoing(blobs())).pauses).toBe(PER_LOOP);
    expect(counted(checkFamilies(blobs(), findings)).pauses).toBe(3 * PER_LOOP);
    expect(findings.list).toEqual([]);
  });

  test('while it finds the owner of each page and cluster, and finds all overlaps', () => {
    const all = [...blobs().values()];
    all[4000].runs[0] = { first: 10, end: 11 };
    const findings = new Findings();
    const { pauses, result } = counted(findOwners(all, { clusterCount: 20_000, mdPageCount: BLOBS }, findings));
    expect(pauses).toBe(3 * PER_LOOP);
    expect(result.pages.countSet()).toBe(BLOBS);
    expect(result.clusters.countSet()).toBe(BLOBS - 1);
    expect(findings.list.map(({ kind, cluster }) => [kind, cluster])).toEqual([['shared-clusters', 10]]);
  });
});
