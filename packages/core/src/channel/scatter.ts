/** Scatter lists, and taking them apart at cluster boundaries. */

import { BlobstoreError } from '../error.js';

/** A place in a scatter list; reads on from it. */
export class ScatterCursor {
  readonly #buffers: readonly Uint8Array[];
  #index = 0;
  #offset = 0;

  constructor(buffers: readonly Uint8Array[]) {
    this.#buffers = buffers;
  }

  /** The next `bytes` bytes as a list of views. The list must hold that many. */
  take(bytes: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const buffer = this.#buffers[this.#index];
      const length = Math.min(left, buffer.length - this.#offset);
      if (length > 0) taken.push(buffer.subarray(this.#offset, this.#offset + length));
      left -= length;
      this.#offset += length;
      if (this.#offset === buffer.length) {
        this.#index++;
        this.#offset = 0;
      }
    }
    return taken;
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
