/**
 * Measuring one benchmark in this process. Subject and baseline take turns in short rounds, and change places every round, so
 * that whatever else the machine does meets both. tinybench times the calls of a round; a round's time is the median of its
 * calls, its ratio that of its two times, and the result is the median of the rounds.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { Bench, type Task } from 'tinybench';
import type { Benchmark, Scale, Side, Workload } from './benchmark.js';
import { CHECKSUM_START, fold } from './random.js';
import { median, type Quartiles, quartiles } from './statistics.js';

/** Nanoseconds per operation, and how the subject's speed relates to the baseline's: 2 is twice as fast. */
export interface Round {
  readonly subjectNanoseconds: number;
  readonly baselineNanoseconds?: number;
  readonly ratio?: number;
}

/** What was measured of a benchmark; goes through JSON. */
export interface Measurement {
  readonly name: string;
  readonly subjectNanoseconds: number;
  readonly baselineNanoseconds?: number;
  readonly ratio?: Quartiles;
  /** Bytes that an operation leaves to the garbage collector; absent where it always came in between. */
  readonly subjectHeapBytes?: number;
  readonly baselineHeapBytes?: number;
  readonly checksum: string;
  readonly rounds: readonly Round[];
}

interface Schedule {
  readonly rounds: number;
  /** Least time of a side in a round, and of its warm-up before the first. */
  readonly roundMs: number;
  readonly warmupMs: number;
  /** Least calls of a side in a round. */
  readonly calls: number;
}

const SCHEDULES: Readonly<Record<Scale, Schedule>> = {
  full: { rounds: 31, roundMs: 25, warmupMs: 500, calls: 1 },
  smoke: { rounds: 2, roundMs: 0, warmupMs: 0, calls: 1 },
};

/** Calls of each side that the checksum is made of; their number is fixed, that of the timed calls is not. */
const CHECKED_CALLS = 2;
const HEAP_CALLS = 5;
/** tinybench counts in milliseconds. */
const NANOSECONDS = 1e6;

/** What timed calls answered, all together: nothing that they do is for nothing. */
let sink = 0;

export async function measure(benchmark: Benchmark, scale: Scale): Promise<Measurement> {
  const workload = benchmark.prepare(scale);
  try {
    const checksum = check(workload);
    const rounds = await runRounds(workload, SCHEDULES[scale]);
    return {
      name: benchmark.name,
      ...summarise(benchmark, rounds),
      subjectHeapBytes: heapBytes(workload, workload.subject),
      ...(workload.baseline && { baselineHeapBytes: heapBytes(workload, workload.baseline) }),
      checksum,
      rounds,
    };
  } finally {
    workload.dispose?.();
  }
}

/** Runs a fixed number of calls of each side, and answers the subject's checksum. Throws when the sides do not agree. */
function check(workload: Workload): string {
  const { subject, baseline, sidesAgree } = workload;
  const found = checksumOf(workload, subject);
  if (!baseline) return found;
  const expected = checksumOf(workload, baseline);
  if (sidesAgree && found !== expected)
    throw new Error(`the subject's checksum is ${found}, the baseline's ${expected}`);
  return found;
}

function checksumOf(workload: Workload, side: Side): string {
  workload.reset?.();
  let checksum = CHECKSUM_START;
  for (let call = 0; call < CHECKED_CALLS; call++) checksum = fold(checksum, callOnce(side));
  if (side.digest) checksum = fold(checksum, side.digest());
  return (checksum >>> 0).toString(16).padStart(8, '0');
}

function callOnce(side: Side): number {
  side.before?.();
  const answer = side.run();
  side.after?.();
  return answer;
}

async function runRounds(workload: Workload, schedule: Schedule): Promise<Round[]> {
  const { operationsPerCall } = workload;
  const bench = new Bench({
    time: schedule.roundMs,
    iterations: schedule.calls,
    warmupTime: schedule.warmupMs,
    warmupIterations: schedule.calls,
    timestampProvider: 'hrtimeNow',
    throws: true,
  });
  const subject = addTask(bench, 'subject', workload.subject);
  const baseline = workload.baseline && addTask(bench, 'baseline', workload.baseline);
  subject.warmupSync();
  baseline?.warmupSync();
  const rounds: Round[] = [];
  for (let round = 0; round < schedule.rounds; round++) {
    const baselineFirst = round % 2 === 1;
    let baselineNanoseconds = baselineFirst && baseline ? timeRound(baseline, operationsPerCall) : undefined;
    const subjectNanoseconds = timeRound(subject, operationsPerCall);
    if (!baselineFirst && baseline) baselineNanoseconds = timeRound(baseline, operationsPerCall);
    if (baselineNanoseconds === undefined) rounds.push({ subjectNanoseconds });
    else rounds.push({ subjectNanoseconds, baselineNanoseconds, ratio: baselineNanoseconds / subjectNanoseconds });
    await nextTurn(); // signals, and the end of the parent, are seen here
  }
  return rounds;
}

function addTask(bench: Bench, name: string, side: Side): Task {
  const run = () => {
    sink = fold(sink, side.run());
  };
  bench.add(name, run, { async: false, beforeEach: () => side.before?.(), afterEach: () => side.after?.() });
  const task = bench.getTask(name);
  if (!task) throw new Error(`tinybench has no task ${name}`);
  return task;
}

/** Runs a side once through; answers the nanoseconds of an operation. */
function timeRound(task: Task, operationsPerCall: number): number {
  task.reset();
  const { result } = task.runSync();
  if (result.state !== 'completed') throw new Error(`a round ended as '${result.state}'`);
  return (result.latency.p50 * NANOSECONDS) / operationsPerCall;
}

function summarise(benchmark: Benchmark, rounds: readonly Round[]) {
  const subjectNanoseconds = median(rounds.map((round) => round.subjectNanoseconds));
  const measured = rounds.flatMap((round) => round.baselineNanoseconds ?? []);
  if (measured.length > 0) {
    const ratio = quartiles(rounds.flatMap((round) => round.ratio ?? []));
    return { subjectNanoseconds, baselineNanoseconds: median(measured), ratio };
  }
  if (typeof benchmark.baseline !== 'object') return { subjectNanoseconds };
  const { nanosecondsPerOperation } = benchmark.baseline;
  const ratio = quartiles(rounds.map((round) => nanosecondsPerOperation / round.subjectNanoseconds));
  return { subjectNanoseconds, baselineNanoseconds: nanosecondsPerOperation, ratio };
}

/** Calls in which the heap shrank met a collection, and say nothing; undefined when all did. */
function heapBytes(workload: Workload, side: Side): number | undefined {
  const found: number[] = [];
  for (let call = 0; call < HEAP_CALLS; call++) {
    side.before?.();
    const before = process.memoryUsage().heapUsed;
    sink = fold(sink, side.run());
    const left = process.memoryUsage().heapUsed - before;
    if (left >= 0) found.push(left);
    side.after?.();
  }
  return found.length > 0 ? median(found) / workload.operationsPerCall : undefined;
}

/** Keeps the answers of timed calls alive to the end. */
export function answersOfTimedCalls(): number {
  return sink;
}
