/**
 * The protocol between the torturing process and the tortured one. The order goes to the child's standard input. The
 * child reports in lines of JSON on a pipe: each operation before it begins, and again when its promise has resolved. A
 * line is written by one system call, which returns before the operation begins, so that a kill cannot lose it.
 */

import { writeSync } from 'node:fs';

export type Durability = 'power-loss' | 'process-crash';
export type TortureMode = 'inline' | 'pool' | 'attached' | 'mixed';

/** The file descriptor of the child's end of that pipe. */
export const REPORT_FD = 3;

/** The order for a child. */
export interface Order {
  readonly path: string;
  readonly seed: number;
  readonly round: number;
  readonly mode: TortureMode;
  readonly durability: Durability;
  /** The number of I/O workers, or of attached threads. */
  readonly threads: number;
  /** The time in milliseconds after which the child closes the store and ends. Default: it works until it is killed. */
  readonly workMs?: number;
  readonly blobs: readonly { readonly key: string; readonly id: string }[];
}

/**
 * A change of bytes. Offsets and lengths are in bytes; a token stands for the bytes that are written (`pattern.ts`).
 */
export type DataOperation =
  | {
      readonly kind: 'write';
      readonly key: string;
      readonly at: number;
      readonly length: number;
      readonly token: number;
    }
  | { readonly kind: 'zero'; readonly key: string; readonly at: number; readonly length: number }
  /** @property map - which clusters the blob has itself when it begins */
  | {
      readonly kind: 'trim';
      readonly key: string;
      readonly at: number;
      readonly length: number;
      readonly map: ClusterMap;
    };

/** A character for each cluster: `1` if the blob has it itself, `0` if not. */
export type ClusterMap = string;

export type Operation =
  | DataOperation
  | {
      readonly kind: 'create';
      readonly key: string;
      readonly bytes: number;
      readonly thin: boolean;
      readonly tag: string;
    }
  /** @property crc - of all that the blob reads as when it begins */
  | { readonly kind: 'sync' | 'flush'; readonly key: string; readonly crc: number }
  | { readonly kind: 'flushStore' }
  /** @property value - undefined: the xattr is deleted */
  | { readonly kind: 'xattr'; readonly key: string; readonly name: string; readonly value?: string }
  | { readonly kind: 'resize'; readonly key: string; readonly bytes: number }
  | { readonly kind: 'snapshot' | 'clone'; readonly key: string; readonly made: string }
  | { readonly kind: 'inflate' | 'decouple' | 'delete'; readonly key: string };

export type Line =
  | { readonly say: 'opening' | 'opened' | 'closing' | 'closed' }
  | { readonly begin: number; readonly operation: Operation }
  /** @property id - of a blob that was made */
  | { readonly done: number; readonly id?: string }
  | { readonly failed: number; readonly text: string };

/** A line about an operation. */
export type ReportedLine = Exclude<Line, { say: string }>;

/**
 * The greatest number of writers. The number of an operation is its count in the writer, times this, plus the writer.
 */
const WRITERS_MAX = 64;

/** Sends the reports of one thread. */
export class Reporter {
  readonly #writer: number;
  #count = 0;

  constructor(writer: number) {
    this.#writer = writer;
  }

  say(say: 'opening' | 'opened' | 'closing' | 'closed'): void {
    send({ say });
  }

  /**
   * Reports an operation, executes it, and reports its outcome. A failure is reported and not thrown.
   * @param act - executes the operation; returns the blob that it makes, if any
   */
  async perform(operation: Operation, act: () => Promise<unknown>): Promise<void> {
    const number = this.#count++ * WRITERS_MAX + this.#writer;
    send({ begin: number, operation });
    try {
      const made = await act();
      send({ done: number, id: (made as { id: bigint } | undefined)?.id.toString() });
    } catch (error) {
      send({ failed: number, text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }
}

function send(line: Line): void {
  writeSync(REPORT_FD, `${JSON.stringify(line)}\n`);
}
