/**
 * Checks of what users pass to the engine's API. Each failure is EINVAL. No message shows the value, which can be
 * anything. The checks are made when an operation is called, before its steps run.
 */

import { Blob } from '../blob/blob.js';
import { Channel } from '../channel/channel.js';
import { isBytes } from '../channel/scatter.js';
import type { BlockDevice } from '../device/block-device.js';
import { isClearMethod } from '../format/flags.js';
import type { StoreState } from '../state/store-state.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobId } from '../units/units.js';

const ID_MAX = 0xffff_ffff_ffff_ffffn;

/** Returns an open or closed blob of this store. EINVAL for anything else. */
export function checkBlob(store: StoreState, blob: unknown): Blob {
  if (!Blob.is(blob)) throw unusable('the blob', 'one that openBlob returned');
  if (!blob.isOf(store.shared)) throw unusable('the blob', 'one of this store; it belongs to another one');
  return blob;
}

export function checkId(id: unknown): BlobId {
  if (typeof id === 'bigint' && id >= 0n && id <= ID_MAX) return id;
  throw unusable('the id of a blob', 'a bigint of 64 bits');
}

export function checkCount(what: string, count: unknown): number {
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count;
  throw unusable(what, 'a whole number from 0');
}

export function checkChannel(channel: unknown): Channel {
  if (Channel.is(channel)) return channel;
  throw unusable('the channel', 'one that openChannel returned');
}

export function checkDevice(device: unknown): BlockDevice {
  const { openChannel, blockCount, blockLengthBytes } = (device ?? {}) as Partial<BlockDevice>;
  const isMeasured = Number.isSafeInteger(blockCount) && Number.isSafeInteger(blockLengthBytes);
  if (typeof openChannel === 'function' && isMeasured) return device as BlockDevice;
  throw unusable('the device', 'an open BlockDevice');
}

export function checkBytes(what: string, bytes: unknown): Uint8Array {
  if (isBytes(bytes) && isThere(bytes)) return bytes;
  throw unusable(what, 'a Uint8Array whose memory is not detached');
}

export function checkName(name: unknown): string {
  if (typeof name === 'string') return name;
  throw unusable('the name of an xattr', 'text');
}

/** False when the memory was transferred to another thread, or has become too small. */
function isThere(bytes: Uint8Array): boolean {
  try {
    bytes.at(0);
    return true;
  } catch {
    return false;
  }
}

/** Returns a copy of options; an empty object for undefined. Checks only that they are an object. */
export function checkObject<T extends object>(what: string, options: T | undefined | unknown): T {
  if (options === undefined) return {} as T;
  const isObject =
    typeof options === 'object' && options !== null && !Array.isArray(options) && !ArrayBuffer.isView(options);
  if (!isObject) throw unusable(what, 'an object');
  return { ...options } as T;
}

export function checkClearMethod(method: unknown): void {
  if (method !== undefined && !(typeof method === 'string' && isClearMethod(method))) {
    throw unusable('clearMethod', "'default', 'none', 'unmap' or 'write_zeroes'");
  }
}

export function unusable(what: string, wanted: string): BlobstoreError {
  return new BlobstoreError('EINVAL', `${what} cannot be used: it must be ${wanted}`);
}
