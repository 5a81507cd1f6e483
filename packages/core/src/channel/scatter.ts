/** Scatter lists, and splitting them at cluster boundaries. */

import type { RequestOptions } from '../device/block-device.js';
import { isBytes } from '../units/argument-checks.js';
import { assert, BlobstoreError } from '../units/error.js';

/** Buffers that are filled or written one after another, and the options for the device. */
export interface ScatterList {
  readonly buffers: readonly Uint8Array[];
  readonly options: RequestOptions | undefined;
}

/** A position in a scatter list, from which `take` reads on. Reusable for other lists. */
export class ScatterCursor {
  #buffers: readonly Uint8Array[] | undefined;
  #index = 0;
  #offset = 0;

  /** Moves to the start of a list. Without a list, drops the reference to the last one. */
  set(buffers: readonly Uint8Array[] | undefined): void {
    this.#buffers = buffers;
    this.#index = 0;
    this.#offset = 0;
  }

  /**
   * Returns the next `bytes` bytes: whole buffers, and views of parts of buffers. The lengths were checked when the
   * operation began. Throws EINVAL if the buffers have become shorter since.
   */
  take(bytes: number): readonly Uint8Array[] {
    const buffers = this.#buffers;
    assert(buffers !== undefined, 'a cursor has no scatter list');
    const taken: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const buffer = buffers[this.#index];
      const length = buffer === undefined ? -1 : Math.min(left, buffer.length - this.#offset);
      if (length < 0) throw bufferGone();
      if (length > 0) {
        const isWhole = length === buffer.length && !canGrow(buffer);
        taken.push(isWhole ? buffer : buffer.subarray(this.#offset, this.#offset + length));
      }
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

/** True if the length of the array may become larger later. A view of the bytes that were asked for does not grow. */
function canGrow(buffer: Uint8Array): boolean {
  const { growable, resizable } = buffer.buffer as { readonly growable?: boolean; readonly resizable?: boolean };
  return growable === true || resizable === true;
}

/**
 * The error of an operation whose buffers were transferred to another thread, or made smaller, while it was under way.
 */
export function bufferGone(): BlobstoreError {
  return new BlobstoreError(
    'EINVAL',
    'a buffer was transferred elsewhere, or made smaller, meanwhile; keep it until the promise settles',
  );
}

function noList(): BlobstoreError {
  return new BlobstoreError('EINVAL', 'the buffers must be an array of Uint8Arrays');
}

/** Throws EINVAL unless the buffers are `Uint8Array`s with exactly `bytes` bytes in total. */
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
