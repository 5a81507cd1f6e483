/** What the metadata thread knows of the channel that has a row of the channel table. */

import type { Count } from './count.js';
import type { Mailbox } from './mailbox.js';
import type { RowClient } from './row-client.js';

export interface Row {
  readonly mailbox: Mailbox;
  /** Submissions that have been taken. */
  taken: number;
  /** Requests and calls that have not been answered. */
  readonly underWay: Count;
  /** Those among them that the channel makes while it is inside a blob; they wait for nobody to freeze or thaw one. */
  readonly inside: Count;
  /** What its thread has open, and calls; undefined for one that has done neither. */
  client: RowClient | undefined;
  ending: Promise<void> | undefined;
}
