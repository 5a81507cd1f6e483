/** Checks a round: all reads, the data of all snapshots, and the data at the end must be possible by the log. */

import { BlobHistory, FOREVER, findMoment, tokenText } from './history.js';
import type { RoundBlobs } from './metadata-side.js';
import { type LoggedChange, type SharedLog, STATUS } from './shared-log.js';
import type { BlockContent } from './stamp.js';

/** The greatest number of contradictions that are reported: often many have one cause. */
const FINDINGS_MAX = 12;

/** @param contents - the present contents of the blobs, by their index in the round */
export function checkRound(
  log: SharedLog,
  round: RoundBlobs,
  contents: ReadonlyMap<number, readonly BlockContent[]>,
): string[] {
  const findings: string[] = [];
  const histories = historiesOf(log, round, findings);
  checkSnapshots(round, histories, findings);
  checkReads(log, histories, findings);
  checkEnd(round, histories, contents, findings);
  return findings.length > FINDINGS_MAX
    ? [...findings.slice(0, FINDINGS_MAX), `and ${findings.length - FINDINGS_MAX} more`]
    : findings;
}

function historiesOf(log: SharedLog, round: RoundBlobs, findings: string[]): Map<number, BlobHistory> {
  const byBlob = new Map<number, LoggedChange[]>();
  for (const change of log.changes()) {
    if (change.status === STATUS.UNDER_WAY) findings.push(`${tokenText(change.token)} has never ended`);
    const changes = byBlob.get(change.blob);
    if (changes) changes.push(change);
    else byBlob.set(change.blob, [change]);
  }
  const histories = new Map<number, BlobHistory>();
  for (const { index, base } of round.blobs) {
    const changes = (byBlob.get(index) ?? []).sort((one, other) => one.begin - other.begin);
    const firstSnapshot = round.firstSnapshots.get(index) ?? FOREVER;
    histories.set(index, new BlobHistory(base, changes, firstSnapshot));
  }
  return histories;
}

/** A snapshot must have the data of one moment while it was made. */
function checkSnapshots(
  { snapshots }: RoundBlobs,
  histories: ReadonlyMap<number, BlobHistory>,
  findings: string[],
): void {
  for (const { blob, of, begin, end, contents } of snapshots) {
    const history = histories.get(of);
    if (history === undefined) continue;
    const wrong = findMoment(contents, history, begin, end);
    if (wrong === undefined) continue;
    const what = `snapshot ${blob} of blob ${of}, taken between ${begin} and ${end}, block ${wrong.block}`;
    findings.push([`${what}: ${wrong.text}`, ...history.lastChanges(wrong.block)].join('\n    '));
  }
}

function checkReads(log: SharedLog, histories: ReadonlyMap<number, BlobHistory>, findings: string[]): void {
  for (const { writer, blob, block, token, begin, end } of log.loggedReads()) {
    const history = histories.get(blob);
    if (history === undefined || history.visible(block, token, begin, end) !== undefined) continue;
    const what = `writer ${writer} read blob ${blob}, block ${block}, between ${begin} and ${end}`;
    const expected = history.describe(block, begin, end);
    const text = `${what}: found ${tokenText(token)}, expected ${expected}`;
    findings.push([text, ...history.lastChanges(block)].join('\n    '));
  }
}

function checkEnd(
  round: RoundBlobs,
  histories: ReadonlyMap<number, BlobHistory>,
  contents: ReadonlyMap<number, readonly BlockContent[]>,
  findings: string[],
): void {
  for (const { index, truth } of round.blobs) {
    for (const [block, { tokens, signature, foreignAt }] of (contents.get(index) ?? []).entries()) {
      const where = `at the end, blob ${index}, block ${block}`;
      if (foreignAt >= 0) findings.push(`${where}: byte ${foreignAt} is no stamp of the block`);
      if (truth !== undefined) {
        const expected = truth[block]?.signature;
        if (signature !== expected) findings.push(`${where}: found ${signature}, expected ${expected} of the snapshot`);
        continue;
      }
      const history = histories.get(index);
      for (const token of tokens) {
        if (history === undefined || history.visible(block, token, FOREVER, FOREVER) !== undefined) continue;
        const text = `${where}: found ${tokenText(token)}, expected ${history.describe(block, FOREVER, FOREVER)}`;
        findings.push([text, ...history.lastChanges(block)].join('\n    '));
      }
    }
  }
}
