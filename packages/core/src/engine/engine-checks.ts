/**
 * Checks of what users pass to the engine's API, beside those of `units/argument-checks.ts`. Each failure is EINVAL.
 * The checks are made when an operation is called, before its steps run.
 */

import { Blob } from '../blob/blob.js';
import { Channel } from '../channel/channel.js';
import type { BlockDevice } from '../device/block-device.js';
import { isClearMethod } from '../format/flags.js';
import type { StoreState } from '../state/store-state.js';
import { checkAnyObject, checkInteger, invalid } from '../units/argument-checks.js';
import type { BlobId } from '../units/units.js';

const ID_MAX = 0xffff_ffff_ffff_ffffn;

/** Returns an open or closed blob of this store. EINVAL for anything else. */
export function checkBlob(store: StoreState, blob: unknown): Blob {
  if (!Blob.is(blob)) throw invalid('the blob', blob, 'one that openBlob returned');
  if (!blob.isOf(store.shared)) throw invalid('the blob', blob, 'one of this store; it belongs to another one');
  return blob;
}

export function checkId(id: unknown): BlobId {
  if (typeof id === 'bigint' && id >= 0n && id <= ID_MAX) return id;
  throw invalid('the id of a blob', id, 'a bigint of 64 bits');
}

export function checkCount(what: string, count: unknown): number {
  return checkInteger(what, count, 0, Number.MAX_SAFE_INTEGER);
}

export function checkChannel(channel: unknown): Channel {
  if (Channel.is(channel)) return channel;
  throw invalid('the channel', channel, 'one that openChannel returned');
}

export function checkDevice(device: unknown): BlockDevice {
  const { openChannel, blockCount, blockLengthBytes } = (device ?? {}) as Partial<BlockDevice>;
  const isMeasured = Number.isSafeInteger(blockCount) && Number.isSafeInteger(blockLengthBytes);
  if (typeof openChannel === 'function' && isMeasured) return device as BlockDevice;
  throw invalid('the device', device, 'an open BlockDevice');
}

export function checkName(name: unknown): string {
  if (typeof name === 'string') return name;
  throw invalid('the name of an xattr', name, 'text');
}

/** Returns a copy of an array. */
export function checkList(what: string, list: unknown): readonly unknown[] {
  if (Array.isArray(list)) return [...(list as unknown[])];
  throw invalid(what, list, 'an array');
}

/** Returns a copy of options; an empty object for undefined. Does not look at their names. */
export function checkOptions<T extends object>(what: string, options: T | undefined | unknown): T {
  if (options === undefined) return {} as T;
  if (ArrayBuffer.isView(options)) throw invalid(what, options, 'an object');
  return checkAnyObject(what, options) as T;
}

export function checkClearMethod(method: unknown): void {
  if (method === undefined || (typeof method === 'string' && isClearMethod(method))) return;
  throw invalid('clearMethod', method, "'default', 'none', 'unmap' or 'write_zeroes'");
}
