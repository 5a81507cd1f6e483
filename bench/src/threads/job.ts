/** The jobs of a team's threads, and their descriptions. */

import type { StoreHandle } from '@blobyard/workers';
import type { BarePlace } from './ground.js';
import type { TransferWork } from './transfer-plan.js';

/** How a thread asks the metadata thread: by a request in a slot of its mailbox, or by a call of a method. */
export type MailboxAsk = 'request' | 'call';

/** Describes a job; posted to the threads. Blobs are given by their ids. */
export type JobSpec =
  | { readonly kind: 'attached'; readonly handle: StoreHandle; readonly blobId: bigint; readonly work: TransferWork }
  | { readonly kind: 'bare'; readonly bare: BarePlace; readonly work: TransferWork }
  | { readonly kind: 'pool'; readonly isSmoke: boolean }
  | { readonly kind: 'first-write'; readonly handle: StoreHandle; readonly clusterBytes: number }
  | { readonly kind: 'mailbox'; readonly handle: StoreHandle; readonly ask: MailboxAsk; readonly pauseMs: number }
  | { readonly kind: 'lock'; readonly words: SharedArrayBuffer };

/** One thread's view of a call. The threads take its operations, numbered from 0, in chunks. */
export interface Share {
  /** Operations in the call. */
  readonly operations: number;
  /** Takes the next chunk. Returns its first operation, or -1 when none is left. */
  take(): number;
  /** Operations in a chunk; the last chunk may have fewer. */
  readonly chunk: number;
  /** The number of earlier calls. */
  readonly call: number;
}

export type Figures = Readonly<Record<string, number>>;

export interface Job {
  /** Prepares a call; not timed. */
  begin?(argument: bigint): void;
  /** Executes a share of a call. Returns its part of the checksum. */
  run(share: Share): number | Promise<number>;
  /** Cleans up after a call; not timed. Returns further results. */
  end?(): Figures | undefined | Promise<Figures | undefined>;
  close(): void | Promise<void>;
}

/** Calls `each` for every operation of a share, with its number counted over all calls. */
export function forEachOperation(share: Share, each: (operation: number) => void): void {
  const { operations, chunk } = share;
  const base = share.call * operations;
  for (let first = share.take(); first >= 0; first = share.take()) {
    const end = Math.min(first + chunk, operations);
    for (let operation = first; operation < end; operation++) each(base + operation);
  }
}
