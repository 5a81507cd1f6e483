/** What a benchmark is: a subject, mostly beside a baseline that does the same without the engine, and what it is to reach. */

/** How much work a run does: the sizes that the names and targets speak of, or tiny ones that only show that it works. */
export type Scale = 'full' | 'smoke';

/** One side of a comparison. */
export interface Side {
  /** Executes `operationsPerCall` operations; what it answers depends on the bytes that they moved. This is what is timed. */
  run(): number;
  /** Prepares a call, off the clock. */
  before?(): void;
  /** Clears up after a call, off the clock. */
  after?(): void;
  /** A number that depends on what calls have left behind. */
  digest?(): number;
}

/** A benchmark that is ready to run. */
export interface Workload {
  readonly operationsPerCall: number;
  readonly subject: Side;
  readonly baseline?: Side;
  /** True when both sides must answer the same, call by call; else only the subject's answers are printed. */
  readonly sidesAgree?: boolean;
  /** Undoes what calls have left behind, so that both sides begin with the same. */
  reset?(): void;
  dispose?(): void;
}

/** Speed that someone else measured elsewhere; it says how far away a goal is, not more. */
export interface QuotedBaseline {
  readonly label: string;
  readonly nanosecondsPerOperation: number;
}

/** What is aimed at: a speed relative to the baseline, or a time for one operation. */
export type Target = { readonly ratioMin: number } | { readonly millisecondsMax: number };

export interface Benchmark {
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  /** What the measured baseline does, or whose speed is quoted; undefined without either. */
  readonly baseline?: string | QuotedBaseline;
  readonly target?: Target;
  /** Bytes that an operation moves, where its speed is better said in bytes. */
  readonly bytesPerOperation?: number;
  prepare(scale: Scale): Workload;
}

/** SPDK's blobstore in C on a machine such as the one that our numbers are from, its device in memory. */
export function spdkPerSecond(operationsPerSecond: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: 1e9 / operationsPerSecond };
}

/** As `spdkPerSecond`, for what takes milliseconds. */
export function spdkMilliseconds(milliseconds: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: milliseconds * 1e6 };
}
