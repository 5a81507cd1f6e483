/**
 * Measures one benchmark in this process. Subject and baseline take turns in short rounds, in alternating order, so
 * that other load on the machine affects both equally. tinybench times the calls of a round. The time of a round is the
 * median of its calls; its ratio is baseline time to subject time; the result is the median of the rounds.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { Bench, type Task } from 'tinybench';
import type { Benchmark, Scale, Schedule, Side, Workload } from './benchmark.js';
import { CHECKSUM_START, fold } from './random.js';
import { median, type Quartiles, quartiles } from './statistics.js';
import { YARDSTICK } from './yardstick.js';

/** Nanoseconds per operation, and the ratio of subject speed to baseline speed: 2 means twice as fast. */
export interface Round {
  readonly subjectNanoseconds: number;
  readonly baselineNanoseconds?: number;
  readonly ratio?: number;
}

/** The result of a benchmark; sent between processes as JSON. */
export interface Measurement {
  readonly name: string;
  readonly subjectNanoseconds: number;
  readonly baselineNanoseconds?: number;
  readonly ratio?: Quartiles;
  /** Heap bytes that an operation allocates; absent where `heapBytes` cannot measure them. */
  readonly subjectHeapBytes?: number;
  readonly baselineHeapBytes?: number;
  readonly checksum: string;
  readonly figures?: Readonly<Record<string, number>>;
  readonly rounds: readonly Round[];
}

const SCHEDULES: Readonly<Record<Scale, Schedule>> = {
  full: { rounds: 31, roundMs: 25, warmupMs: 500, calls: 1 },
  check: { rounds: 11, roundMs: 10, warmupMs: 300, calls: 1 },
  smoke: { rounds: 2, roundMs: 0, warmupMs: 0, calls: 1 },
};

/** Calls of each side for the checksum. Their number is fixed, unlike that of the timed calls. */
const CHECKED_CALLS = 2;
const HEAP_CALLS = 5;
/** Nanoseconds in a millisecond, the unit of tinybench. */
const NANOSECONDS = 1e6;

/** Combines the results of all timed calls, so that the compiler cannot remove their work as unused. */
let sink = 0;

export async function measure(benchmark: Benchmark, scale: Scale): Promise<Measurement> {
  const workload = withYardstick(await benchmark.prepare(scale), scale);
  try {
    const checksum = await check(workload);
    const rounds = await runRounds(benchmark, workload, scheduleOf(benchmark, scale));
    const figures = workload.figures?.();
    return {
      name: benchmark.name,
      ...summarise(benchmark, rounds),
      subjectHeapBytes: await heapBytes(workload, workload.subject),
      ...(workload.baseline && { baselineHeapBytes: await heapBytes(workload, workload.baseline) }),
      checksum,
      ...(figures && { figures }),
      rounds,
    };
  } finally {
    await workload.dispose?.();
  }
}

/**
 * For a check, a workload without a baseline is compared with the yardstick: a time alone cannot be compared between
 * machines.
 */
function withYardstick(workload: Workload, scale: Scale): Workload {
  return scale === 'check' && !workload.baseline ? { ...workload, baseline: YARDSTICK, sidesAgree: false } : workload;
}

/**
 * The schedule of a run. In a check or a smoke run, the number of rounds and their times never exceed those of the
 * benchmark's own schedule: some benchmarks have few rounds because a call takes a second.
 */
function scheduleOf({ schedule }: Benchmark, scale: Scale): Schedule {
  if (scale === 'full') return { ...SCHEDULES.full, ...schedule };
  const { rounds, roundMs, warmupMs, calls } = SCHEDULES[scale];
  return {
    rounds: Math.min(rounds, schedule?.rounds ?? rounds),
    roundMs: Math.min(roundMs, schedule?.roundMs ?? roundMs),
    warmupMs: Math.min(warmupMs, schedule?.warmupMs ?? warmupMs),
    calls,
  };
}

/**
 * Runs a fixed number of calls of each side. Returns the subject's checksum; throws if the sides must agree and do not.
 */
async function check(workload: Workload): Promise<string> {
  const { subject, baseline, sidesAgree } = workload;
  const found = await checksumOf(workload, subject);
  if (!baseline) return found;
  const expected = await checksumOf(workload, baseline);
  if (sidesAgree && found !== expected)
    throw new Error(`the subject's checksum is ${found}, the baseline's ${expected}`);
  return found;
}

async function checksumOf(workload: Workload, side: Side): Promise<string> {
  await workload.reset?.();
  let checksum = CHECKSUM_START;
  for (let call = 0; call < CHECKED_CALLS; call++) checksum = fold(checksum, await callOnce(side));
  if (side.digest) checksum = fold(checksum, await side.digest());
  return (checksum >>> 0).toString(16).padStart(8, '0');
}

async function callOnce(side: Side): Promise<number> {
  await side.before?.();
  const answer = await side.run();
  await side.after?.();
  return answer;
}

async function runRounds(benchmark: Benchmark, workload: Workload, schedule: Schedule): Promise<Round[]> {
  const { operationsPerCall } = workload;
  const { isAsync = false } = benchmark;
  const bench = new Bench({
    time: schedule.roundMs,
    iterations: schedule.calls,
    warmupTime: schedule.warmupMs,
    warmupIterations: schedule.calls,
    timestampProvider: 'hrtimeNow',
    throws: true,
  });
  const subject = addTask(bench, 'subject', workload.subject, isAsync);
  const baseline = workload.baseline && addTask(bench, 'baseline', workload.baseline, isAsync);
  for (const task of [subject, baseline]) {
    if (isAsync) await task?.warmup();
    else task?.warmupSync();
  }
  const time = async (task: Task) => {
    task.reset();
    return timeRound(isAsync ? await task.run() : task.runSync(), operationsPerCall);
  };
  const rounds: Round[] = [];
  for (let round = 0; round < schedule.rounds; round++) {
    const baselineFirst = round % 2 === 1;
    let baselineNanoseconds = baselineFirst && baseline ? await time(baseline) : undefined;
    const subjectNanoseconds = await time(subject);
    if (!baselineFirst && baseline) baselineNanoseconds = await time(baseline);
    if (baselineNanoseconds === undefined) rounds.push({ subjectNanoseconds });
    else rounds.push({ subjectNanoseconds, baselineNanoseconds, ratio: baselineNanoseconds / subjectNanoseconds });
    await nextTurn(); // lets the event loop handle signals and the end of the parent
  }
  return rounds;
}

function addTask(bench: Bench, name: string, side: Side, isAsync: boolean): Task {
  const timed = () => {
    const overriddenDuration = side.lastMilliseconds?.();
    return overriddenDuration === undefined ? undefined : { overriddenDuration };
  };
  const runNow = () => {
    sink = fold(sink, side.run() as number);
    return timed();
  };
  const runLater = async () => {
    sink = fold(sink, await side.run());
    return timed();
  };
  const hooks = { beforeEach: () => side.before?.(), afterEach: () => side.after?.() };
  bench.add(name, isAsync ? runLater : runNow, { async: isAsync, ...hooks });
  const task = bench.getTask(name);
  if (!task) throw new Error(`tinybench has no task ${name}`);
  return task;
}

/** The nanoseconds per operation in a completed round. */
function timeRound({ result }: Task, operationsPerCall: number): number {
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

/**
 * Heap bytes that an operation allocates. A call in which the heap shrank had a garbage collection, and is ignored.
 * Undefined if all calls had one, or if the side measures its time itself: then other threads do the work, or a call
 * also does what is not measured.
 */
async function heapBytes(workload: Workload, side: Side): Promise<number | undefined> {
  if (side.lastMilliseconds) return undefined;
  const found: number[] = [];
  for (let call = 0; call < HEAP_CALLS; call++) {
    await side.before?.();
    const before = process.memoryUsage().heapUsed;
    const answer = side.run();
    sink = fold(sink, typeof answer === 'number' ? answer : await answer);
    const left = process.memoryUsage().heapUsed - before;
    if (left >= 0) found.push(left);
    await side.after?.();
  }
  return found.length > 0 ? median(found) / workload.operationsPerCall : undefined;
}

/** The combined results of all timed calls. Because they are read, the compiler cannot remove the calls. */
export function answersOfTimedCalls(): number {
  return sink;
}
