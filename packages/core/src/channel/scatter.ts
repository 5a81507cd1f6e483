/** Scatter lists, and taking them apart at cluster boundaries. */

import type { RequestOptions } from '../device/block-device.js';
import { assert, BlobstoreError } from '../units/error.js';

/** Buffers that follow one another, and what the user hands to the device with them. */
export interface ScatterList {
  readonly buffers: readonly Uint8Array[];
  readonly options: RequestOptions | undefined;
}

/** A place in a scatter list; reads on from it. Can be set to one list after another. */
export class ScatterCursor {
  #buffers: readonly Uint8Array[] | undefined;
  #index = 0;
  #offset = 0;

  /** Goes to the begin of a list; without one, lets go of the last. */
  set(buffers: readonly Uint8Array[] | undefined): void {
    this.#buffers = buffers;
    this.#index = 0;
    this.#offset = 0;
  }

  /** The next `bytes` bytes as a list of views. The list held that many when the operation began: EINVAL if it does not any more. */
  take(bytes: number): readonly Uint8Array[] {
    const buffers = this.#buffers;
    assert(buffers !== undefined, 'a cursor has no scatter list');
    const taken: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const buffer = buffers[this.#index];
      const length = buffer === undefined ? -1 : Math.min(left, buffer.length - this.#offset);
      if (length < 0) throw bufferGone();
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

/** Of all typed arrays: asked directly, it makes no object, and what is none has no answer. */
const { get: nameOfArray } = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
) as { get: () => string | undefined };

/** True for an array of bytes, and not for what merely looks like one. */
export function isBytes(value: unknown): value is Uint8Array {
  return nameOfArray.call(value) === 'Uint8Array';
}

/** What an operation fails with whose buffers have been transferred elsewhere, or made smaller, since it began. */
export function bufferGone(): BlobstoreError {
  return new BlobstoreError(
    'EINVAL',
    'a buffer was transferred elsewhere, or made smaller, meanwhile; keep it until the promise settles',
  );
}

function noList(): BlobstoreError {
  return new BlobstoreError('EINVAL', 'the buffers must be an array of Uint8Arrays');
}

/** EINVAL unless the buffers hold exactly `bytes` bytes. */
export function requireScatterLength(buffers: readonly Uint8Array[], bytes: number): void {
  let total = 0;
  if (!Array.isArray(buffers)) throw noList();
  for (const buffer of buffers) {
    if (!isBytes(buffer)) throw noList();
    total += buffer.length;
  }
  if (total !== bytes) {
    throw new BlobstoreError('EINVAL', `the buffers hold ${total} bytes, the operation moves ${bytes}`);
  }
}
