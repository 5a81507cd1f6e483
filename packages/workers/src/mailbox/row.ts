/** What the metadata thread knows of the channel that has a row of the channel table. */

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

/** Something that is counted, and waited for. */
export class Count {
  #count = 0;
  #onZero: (() => void)[] = [];

  add(): void {
    this.#count++;
  }

  remove(): void {
    this.#count--;
    if (this.#count === 0) for (const resolve of this.#onZero.splice(0)) resolve();
  }

  async whenZero(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#onZero.push(resolve));
  }
}
