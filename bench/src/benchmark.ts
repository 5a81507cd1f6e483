/** A benchmark: a subject, usually a baseline that does the same without the engine, and a target. */

/**
 * The amount of work: the sizes that names and targets refer to; the same in fewer and shorter rounds, to compare ratios
 * with those of an earlier run; or tiny sizes that only test that the benchmark runs.
 */
export type Scale = 'full' | 'check' | 'smoke';

/** One side of a comparison. */
export interface Side {
  /**
   * Executes `operationsPerCall` operations; this is timed. Returns a checksum that depends on the bytes they moved.
   */
  run(): number | Promise<number>;
  /**
   * The time of the last call in milliseconds, if the side measures it itself: on other threads, or as a pause or
   * delay.
   */
  lastMilliseconds?(): number;
  /** Prepares a call; not timed. */
  before?(): void | Promise<void>;
  /** Cleans up after a call; not timed. */
  after?(): void | Promise<void>;
  /** A checksum of the state that the calls have left. */
  digest?(): number | Promise<number>;
}

/** A benchmark that is ready to run. */
export interface Workload {
  readonly operationsPerCall: number;
  readonly subject: Side;
  readonly baseline?: Side;
  /** True when both sides must return the same checksums. Otherwise only the checksum of the subject is printed. */
  readonly sidesAgree?: boolean;
  /** Resets the state, so that both sides begin with the same. */
  reset?(): void | Promise<void>;
  /** Further results of the timed calls, by their description. */
  figures?(): Readonly<Record<string, number>>;
  dispose?(): void | Promise<void>;
}

/** How often and how long each side runs. */
export interface Schedule {
  readonly rounds: number;
  /** Minimum time of a side in a round. `warmupMs`: of its warm-up before the first round. */
  readonly roundMs: number;
  readonly warmupMs: number;
  /** Minimum number of calls of a side in a round. */
  readonly calls: number;
}

/** A speed that others measured on another machine. It shows only roughly how far away a goal is. */
export interface QuotedBaseline {
  readonly label: string;
  readonly nanosecondsPerOperation: number;
}

/**
 * The target: a speed, relative to the baseline or absolute; or the time of an operation, absolute or the difference
 * from the baseline.
 */
export type Target =
  | { readonly ratioMin: number }
  | { readonly perSecondMin: number }
  | { readonly millisecondsMax: number }
  | { readonly millisecondsMoreMax: number };

/** The point of a benchmark in a table of speed by number of threads. */
export interface CurvePoint {
  readonly curve: string;
  readonly threads: number;
}

export interface Benchmark {
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  /** What the measured baseline does, or a quoted speed; undefined without a baseline. */
  readonly baseline?: string | QuotedBaseline;
  readonly target?: Target;
  /** Bytes that an operation moves, if its speed is shown in bytes. */
  readonly bytesPerOperation?: number;
  readonly curvePoint?: CurvePoint;
  /** True when the sides return promises. */
  readonly isAsync?: boolean;
  /** What differs from the default schedule. */
  readonly schedule?: Partial<Schedule>;
  prepare(scale: Scale): Workload | Promise<Workload>;
}

/** SPDK's blobstore in C on a device in memory, on a machine similar to the one of our figures. */
export function spdkPerSecond(operationsPerSecond: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: 1e9 / operationsPerSecond };
}

/** As `spdkPerSecond`, from the time of an operation in milliseconds. */
export function spdkMilliseconds(milliseconds: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: milliseconds * 1e6 };
}
