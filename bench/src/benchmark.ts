/** What a benchmark is: a subject, mostly beside a baseline that does the same without the engine, and what it is to reach. */

/** How much work a run does: the sizes that the names and targets speak of, or tiny ones that only show that it works. */
export type Scale = 'full' | 'smoke';

/** One side of a comparison. */
export interface Side {
  /** Executes `operationsPerCall` operations; what it answers depends on the bytes that they moved. This is what is timed. */
  run(): number | Promise<number>;
  /** What the last call took in milliseconds, where the side measures it: on other threads, or something else than its length. */
  lastMilliseconds?(): number;
  /** Prepares a call, off the clock. */
  before?(): void | Promise<void>;
  /** Clears up after a call, off the clock. */
  after?(): void | Promise<void>;
  /** A number that depends on what calls have left behind. */
  digest?(): number | Promise<number>;
}

/** A benchmark that is ready to run. */
export interface Workload {
  readonly operationsPerCall: number;
  readonly subject: Side;
  readonly baseline?: Side;
  /** True when both sides must answer the same, call by call; else only the subject's answers are printed. */
  readonly sidesAgree?: boolean;
  /** Undoes what calls have left behind, so that both sides begin with the same. */
  reset?(): void | Promise<void>;
  /** What else was found in the timed calls, by the words for it. */
  figures?(): Readonly<Record<string, number>>;
  dispose?(): void | Promise<void>;
}

/** How often and how long each side runs. */
export interface Schedule {
  readonly rounds: number;
  /** Least time of a side in a round, and of its warm-up before the first. */
  readonly roundMs: number;
  readonly warmupMs: number;
  /** Least calls of a side in a round. */
  readonly calls: number;
}

/** Speed that someone else measured elsewhere; it says how far away a goal is, not more. */
export interface QuotedBaseline {
  readonly label: string;
  readonly nanosecondsPerOperation: number;
}

/** What is aimed at: a speed, relative to the baseline or not; or a time for one operation, or how much more than the baseline's. */
export type Target =
  | { readonly ratioMin: number }
  | { readonly perSecondMin: number }
  | { readonly millisecondsMax: number }
  | { readonly millisecondsMoreMax: number };

/** The place of a benchmark in a table of speed by threads. */
export interface CurvePoint {
  readonly curve: string;
  readonly threads: number;
}

export interface Benchmark {
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  /** What the measured baseline does, or whose speed is quoted; undefined without either. */
  readonly baseline?: string | QuotedBaseline;
  readonly target?: Target;
  /** Bytes that an operation moves, where its speed is better said in bytes. */
  readonly bytesPerOperation?: number;
  readonly curvePoint?: CurvePoint;
  /** True where sides answer with promises. */
  readonly isAsync?: boolean;
  /** What differs from the schedule of most. */
  readonly schedule?: Partial<Schedule>;
  prepare(scale: Scale): Workload | Promise<Workload>;
}

/** SPDK's blobstore in C on a machine such as the one that our numbers are from, its device in memory. */
export function spdkPerSecond(operationsPerSecond: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: 1e9 / operationsPerSecond };
}

/** As `spdkPerSecond`, for what takes milliseconds. */
export function spdkMilliseconds(milliseconds: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: milliseconds * 1e6 };
}
