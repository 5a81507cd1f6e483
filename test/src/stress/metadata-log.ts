/** The log of the operations of a metadata side: their outcomes and moments. The cuts are judged by it. */

import { FOREVER } from './history.js';
import type { SharedLog } from './shared-log.js';

export type LoggedKind = 'create' | 'snapshot' | 'clone' | 'delete' | 'resize' | 'xattr' | 'flush' | 'close';

export interface MetadataFacts {
  readonly kind: LoggedKind;
  /** The index in the round of the blob that is made or changed; `THE_STORE` for a flush or a close of the store. */
  readonly blob: number;
  /** The name of the blob that is made. */
  readonly name?: string;
  /** For a snapshot or a clone, the index of the blob that it is made of. */
  readonly of?: number;
  /** The number of blocks that the blob gets. */
  readonly blocks?: number;
  readonly xattr?: { readonly name: string; readonly value: string };
}

export interface MetadataEvent extends MetadataFacts {
  readonly begin: number;
  /** The moment of its end; `FOREVER` while it is under way. */
  end: number;
  /** Whether it was acknowledged. */
  isDone: boolean;
}

export const THE_STORE = -1;
/** The index of a blob that no writer uses. */
export const NO_BLOB = -2;

/** Runs an operation, and logs its begin, its end and its outcome. */
export async function logged<T>(
  log: SharedLog,
  events: MetadataEvent[],
  facts: MetadataFacts,
  operation: () => Promise<T>,
): Promise<T> {
  const event: MetadataEvent = { ...facts, begin: log.now(), end: FOREVER, isDone: false };
  events.push(event);
  try {
    const result = await operation();
    event.isDone = true;
    return result;
  } finally {
    event.end = log.now();
  }
}
