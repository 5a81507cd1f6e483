/** Runs the stress: makes a store, and runs rounds on it until the time is over or something is wrong. */

import { availableParallelism } from 'node:os';
import { createStore } from '@blobyard/workers';
import { Random } from '../random.js';
import { type MediumKind, makeMedium } from './medium.js';
import { addAll, type CarriedBlob, Round, type StressMode } from './round.js';

export interface StressOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly threads: number;
  readonly device: MediumKind;
  readonly mode: StressMode;
  readonly durability: 'power-loss' | 'process-crash';
  readonly kill: boolean;
}

export interface StressResult {
  readonly rounds: number;
  readonly findings: readonly string[];
  /** How often each operation was executed. */
  readonly counts: Readonly<Record<string, number>>;
  /** The time in seconds that threads worked, without the checks between the rounds. */
  readonly workedSeconds: number;
}

export const DEFAULTS: Omit<StressOptions, 'seed'> = {
  seconds: 10,
  threads: Math.min(4, Math.max(2, availableParallelism())),
  device: 'memory',
  mode: 'mixed',
  durability: 'power-loss',
  kill: false,
};

const ROUND_MS = 1500;

export async function stress(options: StressOptions): Promise<StressResult> {
  const { seed, seconds, threads, device: kind, mode, durability, kill } = options;
  const random = new Random(seed, 'store');
  const clusterBytes = random.below(2) === 0 ? 16_384 : 32_768;
  const sizeBytes = clusterBytes * (300 + random.below(300));
  const sizeBytesMax = sizeBytes * 2;
  const blockLengthBytes = random.below(2) === 0 ? 512 : 4096;
  const canCopy = random.below(2) === 0;
  const medium = makeMedium({ kind, sizeBytes, sizeBytesMax, blockLengthBytes, canCopy });
  const findings: string[] = [];
  const counts: Record<string, number> = {};
  let rounds = 0;
  let workedMs = 0;
  try {
    const made = await createStore({
      device: medium.device,
      clusterSizeBytes: clusterBytes,
      mdPageCount: 256,
      durability,
    });
    await made.close();
    let blobs: readonly CarriedBlob[] = [];
    let sequences: readonly number[] = [];
    while (workedMs < seconds * 1000 && findings.length === 0) {
      const milliseconds = Math.min(ROUND_MS, seconds * 1000 - workedMs);
      const common = { seed, round: rounds, milliseconds, threads, mode, durability, kill, kind };
      const round = new Round({ ...common, medium, deviceBytesMax: sizeBytesMax, clusterBytes }, sequences);
      const result = await round.run(blobs);
      blobs = result.blobs;
      sequences = result.sequences;
      addAll(counts, result.counts);
      findings.push(...result.findings.map((finding) => `round ${rounds}: ${finding}`));
      workedMs += milliseconds;
      rounds++;
    }
  } finally {
    medium.remove();
  }
  return { rounds, findings, counts, workedSeconds: workedMs / 1000 };
}
