/** What the metadata thread knows of the channel that has a row of the channel table. */

import type { Blob as EngineBlob } from '@blobyard/core';
import type { Mailbox } from './mailbox.js';

export interface Row {
  readonly mailbox: Mailbox;
  /** Submissions that have been taken. */
  taken: number;
  /** Requests that have not been answered. */
  readonly underWay: Count;
  /** Those among them that the channel makes while it is inside a blob; they wait for nobody to freeze or thaw one. */
  readonly inside: Count;
  readonly opened: EngineBlob[];
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
