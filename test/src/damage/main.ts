/** `npm run fuzz -- [--images N] [--start S] [--jobs J]`: see `USAGE`. */

import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { runCommand, say, wholeNumberOf } from '../command-line.js';
import { type Counts, ImageFailure, tryImages } from './fuzz.js';

const IMAGES_DEFAULT = 10_000;
const JOBS_MAX = 64;
/** The number of images that a thread tries before it reports its progress. */
const BATCH = 100;

const USAGE = `Usage: npm run fuzz -- [OPTION…]
Damages the metadata of small stores in random ways. Each image is then opened, read, dumped, filled, unloaded, checked and
repaired.
  --images N   the number of images; default ${IMAGES_DEFAULT}
  --start S    the number of the first image; the same number gives the same image; default 0
  --jobs J     the number of threads, from 1 to ${JOBS_MAX}; default 1
  --help       this text`;

interface Job {
  start: number;
  count: number;
  step: number;
}

/** The report of a thread: the outcomes of some images, or the first image that failed. */
type Report = { counts: Counts } | { failed: number; message: string };

interface Options {
  images: number;
  start: number;
  jobs: number;
}

/** Returns undefined for `--help`. */
function parse(args: string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { images: text, start: text, jobs: text, help: { type: 'boolean' } } });
  if (values.help) return undefined;
  return {
    images: wholeNumberOf('images', values.images, 0, 1e9) ?? IMAGES_DEFAULT,
    start: wholeNumberOf('start', values.start, 0) ?? 0,
    jobs: wholeNumberOf('jobs', values.jobs, 1, JOBS_MAX) ?? 1,
  };
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

async function main({ images, start, jobs }: Options): Promise<number> {
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
  if (!first) return say('Every image was taken as it must be.');
  console.log(`${first.message}\nTry it again by: npm run fuzz -- --images 1 --start ${first.failed}`);
  return 1;
}

if (isMainThread) await runCommand(USAGE, parse, main);
else work(workerData as Job, (report) => parentPort?.postMessage(report));
