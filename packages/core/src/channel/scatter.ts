/** Scatter lists, and taking them apart at cluster boundaries. */

import type { RequestOptions } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';

/** Buffers that follow one another, and what the user hands to the device with them. */
export interface ScatterList {
  readonly buffers: readonly Uint8Array[];
  readonly options: RequestOptions | undefined;
}

/** A place in a scatter list; reads on from it. */
export class ScatterCursor {
  readonly #list: ScatterList;
  #index = 0;
  #offset = 0;

  constructor(list: ScatterList) {
    this.#list = list;
  }

  /** The next `bytes` bytes as a list of views. The list must hold that many. */
  take(bytes: number): ScatterList {
    const { buffers, options } = this.#list;
    const taken: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const buffer = buffers[this.#index];
      const length = Math.min(left, buffer.length - this.#offset);
      if (length > 0) taken.push(buffer.subarray(this.#offset, this.#offset + length));
      left -= length;
      this.#offset += length;
      if (this.#offset === buffer.length) {
        this.#index++;
        this.#offset = 0;
      }
    }
    return { buffers: taken, options };
  }
}

/** EINVAL unless the buffers hold exactly `bytes` bytes. */
export function requireScatterLength(buffers: readonly Uint8Array[], bytes: number): void {
  let total = 0;
  for (const buffer of buffers) total += buffer.length;
  if (total !== bytes) {
    throw new BlobstoreError('EINVAL', `the buffers hold ${total} bytes, the operation moves ${bytes}`);
  }
}
