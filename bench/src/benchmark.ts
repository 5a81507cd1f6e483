/** A benchmark: a subject, usually a baseline that does the same without the engine, and a target. */

/**
 * The amount of work. `full`: the sizes that names and targets refer to. `check`: the same sizes in fewer and shorter
 * rounds, to compare ratios with those of an earlier run. `smoke`: tiny sizes, which only test that the benchmark runs.
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
  /** A checksum of the state after the calls, for example of all bytes of a blob. */
  digest?(): number | Promise<number>;
}

/** A benchmark that is ready to run. */
export interface Workload {
  readonly operationsPerCall: number;
  readonly subject: Side;
  readonly baseline?: Side;
  /** True when both sides must return the same checksums. Otherwise only the checksum of the subject is printed. */
  readonly sidesAgree?: boolean;
  /** Resets the state. Called before the checked calls of each side, so that both begin with the same state. */
  reset?(): void | Promise<void>;
  /** Further results of the timed calls, by their description, which names the unit. */
  figures?(): Readonly<Record<string, number>>;
  dispose?(): void | Promise<void>;
}

/** How often and how long each side runs. */
export interface Schedule {
  readonly rounds: number;
  /** Minimum time of a side in a round, in milliseconds. */
  readonly roundMs: number;
  /** Minimum time of a side's warm-up before the first round, in milliseconds. */
  readonly warmupMs: number;
  /** Minimum number of calls of a side in a round. */
  readonly calls: number;
}

/** A speed of another program, measured elsewhere on another machine. A ratio to it is only a rough comparison. */
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

/** The quoted speed of SPDK's blobstore in C, with a device in memory, on a machine similar to ours. */
export function spdkPerSecond(operationsPerSecond: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: 1e9 / operationsPerSecond };
}

/** As `spdkPerSecond`, but given as the time of one operation. */
export function spdkMilliseconds(milliseconds: number): QuotedBaseline {
  return { label: 'SPDK in C', nanosecondsPerOperation: milliseconds * 1e6 };
}
