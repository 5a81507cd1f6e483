/** What a metadata side was told of its operations, and when: for whoever looks at what a crash leaves of them. */

import { FOREVER } from './history.js';
import type { SharedLog } from './shared-log.js';

export type LoggedKind = 'create' | 'snapshot' | 'clone' | 'delete' | 'resize' | 'xattr' | 'flush' | 'close';

export interface MetadataFacts {
  readonly kind: LoggedKind;
  /** Index in the round of the blob that is made, or that it happens to; `THE_STORE` for a flush and for closing. */
  readonly blob: number;
  /** The name of a blob that is made. */
  readonly name?: string;
  /** Of a snapshot: what it is made of. */
  readonly of?: number;
  /** How many blocks the blob is to have. */
  readonly blocks?: number;
  readonly xattr?: { readonly name: string; readonly value: string };
}

export interface MetadataEvent extends MetadataFacts {
  readonly begin: number;
  /** `FOREVER` as long as it is under way. */
  end: number;
  /** It was acknowledged. */
  isDone: boolean;
}

export const THE_STORE = -1;
/** A blob that nobody writes to. */
export const NO_BLOB = -2;

/** Runs an operation, and logs when it began, when it ended, and how. */
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
