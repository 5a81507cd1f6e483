/** Plays one seed: threads work on a store with a recorded device; then disks that a cut may have left are judged. */

import { judge, type WrongDisk } from './judge.js';
import type { Recorded } from './recorded.js';
import { configurationOf, RecordedStore } from './recorded-store.js';

export interface SeedResult {
  readonly seed: number;
  readonly text: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly findings: readonly string[];
  /** Undefined if the store was wrong already while the workload ran. */
  readonly recorded: Recorded | undefined;
  readonly wrong: WrongDisk | undefined;
}

/** The default number of disks that are judged. */
export const DISKS_DEFAULT = 50;

/** The time limit of a seed, in milliseconds. */
const PATIENCE_MS = 300_000;

export async function playSeed(seed: number, disks: number = DISKS_DEFAULT): Promise<SeedResult> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<SeedResult>((resolve) => {
    const failure = { findings: ['it hangs'], recorded: undefined, wrong: undefined };
    timer = setTimeout(() => resolve({ seed, text: '', counts: {}, failure }), PATIENCE_MS);
  });
  const result = await Promise.race([play(seed, disks), hangs]);
  clearTimeout(timer);
  return result;
}

async function play(seed: number, disks: number): Promise<SeedResult> {
  const configuration = configurationOf(seed);
  const text = JSON.stringify(configuration);
  const store = await RecordedStore.create(seed, configuration);
  const filled = await store.fill();
  if (filled.length > 0) return { seed, text, counts: {}, failure: liveFailure(filled, undefined) };
  const { findings, recorded, operations } = await store.work(text);
  const { length: requests } = recorded.requests;
  if (findings.length > 0)
    return { seed, text, counts: { requests, operations }, failure: liveFailure(findings, recorded) };
  const { judged, wrong } = await judge(recorded, disks);
  const failure = wrong && { findings: wrong.findings, recorded, wrong };
  return { seed, text, counts: { requests, operations, disks: judged }, failure };
}

function liveFailure(findings: readonly string[], recorded: Recorded | undefined): Failure {
  return { findings, recorded, wrong: undefined };
}
