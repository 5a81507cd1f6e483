/** What a thread of a team does, and what it is told about it. */

import type { StoreHandle } from '@blobyard/workers';
import type { BarePlace } from './ground.js';
import type { TransferWork } from './transfer-plan.js';

/** What a thread asks of the metadata thread: a request in a slot of its mailbox, or a call of a method, by messages. */
export type MailboxAsk = 'request' | 'call';

/** Work by its kind; goes to the thread. Blobs are named by their ids. */
export type JobSpec =
  | { readonly kind: 'attached'; readonly handle: StoreHandle; readonly blobId: bigint; readonly work: TransferWork }
  | { readonly kind: 'bare'; readonly bare: BarePlace; readonly work: TransferWork }
  | { readonly kind: 'pool'; readonly isSmoke: boolean }
  | { readonly kind: 'first-write'; readonly handle: StoreHandle; readonly clusterBytes: number }
  | { readonly kind: 'mailbox'; readonly handle: StoreHandle; readonly ask: MailboxAsk; readonly pauseMs: number }
  | { readonly kind: 'lock'; readonly words: SharedArrayBuffer };

/** The operations of a call, from 0 on, handed out in chunks to the threads that take part in it. */
export interface Share {
  /** Operations in the call. */
  readonly operations: number;
  /** The first operation of the next chunk, or -1 when none is left. */
  take(): number;
  /** Operations in a chunk; the last may have fewer. */
  readonly chunk: number;
  /** Counts the calls before this one. */
  readonly call: number;
}

export type Figures = Readonly<Record<string, number>>;

export interface Job {
  /** Prepares a call, off the clock. */
  begin?(argument: bigint): void;
  /** Does a share of a call; answers its part of the sum. */
  run(share: Share): number | Promise<number>;
  /** Clears up after a call, off the clock. Answers what else was found. */
  end?(): Figures | undefined | Promise<Figures | undefined>;
  close(): void | Promise<void>;
}

/** Calls `each` for the operations of a share. */
export function forEachOperation(share: Share, each: (operation: number) => void): void {
  const { operations, chunk } = share;
  const base = share.call * operations;
  for (let first = share.take(); first >= 0; first = share.take()) {
    const end = Math.min(first + chunk, operations);
    for (let operation = first; operation < end; operation++) each(base + operation);
  }
}
