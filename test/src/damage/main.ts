/** `npm run fuzz -- [--images N] [--start S] [--jobs J]`: see `USAGE`. */

import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Counts, ImageFailure, tryImages } from './fuzz.js';

const IMAGES_DEFAULT = 10_000;
const JOBS_MAX = 64;
/** Images that a thread tries before it says how far it is. */
const BATCH = 100;

const USAGE = `Usage: npm run fuzz -- [OPTION…]
Damages the metadata of small stores in every way that there is, and opens, reads, dumps, fills, unloads, checks and repairs
each image.
  --images N   how many; ${IMAGES_DEFAULT} unless given
  --start S    the number of the first: the same number is the same image; 0 unless given
  --jobs J     threads, from 1 to ${JOBS_MAX}; 1 unless given
  --help       this text`;

interface Job {
  start: number;
  count: number;
  step: number;
}

/** What a thread says: what came of some images, or which was the first that failed. */
type Report = { counts: Counts } | { failed: number; message: string };

function numberOf(name: string, text: string | undefined, byDefault: number, most: number): number {
  if (text === undefined) return byDefault;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new Error(`--${name} ${text}: it must be a whole number from 0 to ${most}`);
}

function parse(): { images: number; start: number; jobs: number } | undefined {
  try {
    const text = { type: 'string' } as const;
    const { values } = parseArgs({ options: { images: text, start: text, jobs: text } });
    const jobs = numberOf('jobs', values.jobs, 1, JOBS_MAX);
    if (jobs === 0) throw new Error('--jobs 0: there must be one');
    const images = numberOf('images', values.images, IMAGES_DEFAULT, 1e9);
    return { images, start: numberOf('start', values.start, 0, 0xffff_ffff), jobs };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    return undefined;
  }
}

/** Tries every `step`-th image, and stops at the first that fails. */
function work({ start, count, step }: Job, report: (report: Report) => void): void {
  for (let done = 0; done < count; done += BATCH) {
    try {
      report({ counts: tryImages(start + done * step, Math.min(BATCH, count - done), step) });
    } catch (error) {
      if (!(error instanceof ImageFailure)) throw error;
      report({ failed: error.image, message: error.message });
      return;
    }
  }
}

function runJob(job: Job, report: (report: Report) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    worker.on('message', report);
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

async function main(): Promise<number> {
  const options = parse();
  if (!options) return 2;
  const { images, start, jobs } = options;
  const counts: Record<string, number> = {};
  const failures: { failed: number; message: string }[] = [];
  const began = performance.now();
  const report = (found: Report) => {
    if ('failed' in found) failures.push(found);
    else for (const [what, count] of Object.entries(found.counts)) counts[what] = (counts[what] ?? 0) + count;
  };
  const all = Array.from({ length: jobs }, (_, job) => {
    return runJob({ start: start + job, count: Math.ceil((images - job) / jobs), step: jobs }, report);
  });
  await Promise.all(all);
  const seconds = (performance.now() - began) / 1000;
  const tried = Object.values(counts).reduce((sum, count) => sum + count, 0);
  console.log(`${tried} images from ${start} on, ${Math.round(tried / seconds)} a second`);
  for (const [what, count] of Object.entries(counts)) console.log(`  ${what}: ${count}`);
  const [first] = failures.sort((a, b) => a.failed - b.failed);
  if (!first) {
    console.log('Every image was taken as it must be.');
    return 0;
  }
  console.log(`${first.message}\nTry it again by: npm run fuzz -- --images 1 --start ${first.failed}`);
  return 1;
}

if (isMainThread && process.argv.includes('--help')) console.log(USAGE);
else if (isMainThread) process.exitCode = await main();
else work(workerData as Job, (report) => parentPort?.postMessage(report));
