/** What the metadata thread keeps for a channel that has a row of the channel table. */

import type { Count } from './count.js';
import type { Mailbox } from './mailbox.js';
import type { RowClient } from './row-client.js';

export interface Row {
  readonly mailbox: Mailbox;
  /** The count of submissions that have been taken; it wraps. */
  taken: number;
  /** Requests and calls that have been taken and not answered. */
  readonly underWay: Count;
  /**
   * Of those, the requests that the channel makes while it is inside a blob. They never wait for a blob to be frozen or
   * thawed.
   */
  readonly inside: Count;
  /** The open blobs and the calls of its thread; undefined while there have been none. */
  client: RowClient | undefined;
  /** Settles when the cleanup after the row's dead thread has ended; undefined while there is none. */
  ending: Promise<void> | undefined;
}
