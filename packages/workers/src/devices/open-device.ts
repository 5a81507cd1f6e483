/** The device of a store: opened by its spec and locked, or passed in as an open device. */

import { fstatSync, rmSync } from 'node:fs';
import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { checkMultiple } from '@blobyard/core/internal/argument-checks';
import {
  acquireStoreLock,
  checkPath,
  type DeviceSpec,
  FileDevice,
  type FileDeviceSpec,
  MemoryDevice,
  OverlayDevice,
  openDevice,
  postableSpec,
  type StoreLock,
} from '@blobyard/io';
import { isBlockDevice } from '@blobyard/io/internal/block-device-check';
import { makeEmptyFile } from '@blobyard/io/internal/new-file';
import type { StoreLocking } from '../api/store.js';
import { invalid, reading } from '../checks/checks.js';
import { KeepAlive } from '../threads/keep-alive.js';
import { openShared } from './shared-device.js';
import { asItsStoreSays } from './store-blocks.js';

/** A device, with what must be released after its use. */
export class HeldDevice {
  readonly device: BlockDevice;
  /**
   * The range from which the other threads of the store take their shares of the lock. Undefined if there is no lock.
   */
  readonly shareWindow: number | undefined;
  readonly #isOurs: boolean;
  readonly #lock: StoreLock | undefined;
  #madeFile: string | undefined;
  readonly #keepAlive = new KeepAlive();

  /**
   * @param isOurs - the device was opened here, and `release` closes it
   * @param shareWindow - that of the store's lock. To be given if another thread has the lock
   */
  constructor(device: BlockDevice, isOurs: boolean, lock?: StoreLock, shareWindow = lock?.shareWindow) {
    this.device = device;
    this.shareWindow = shareWindow;
    this.#isOurs = isOurs;
    this.#lock = lock;
  }

  /** `giveUp` is to remove a file that was made for the store. */
  hasMade(path: string): void {
    this.#madeFile = path;
  }

  /** `giveUp` is to remove no file: somebody else has made a store in it, before it was locked. */
  keepFile(): void {
    this.#madeFile = undefined;
  }

  /** Keeps the process alive until `release`. */
  stayAlive(): void {
    this.#keepAlive.begin();
  }

  /**
   * Releases the device of a store that could not be opened. Removes a file that was made for it, while it is locked:
   * later somebody else could have a store in it.
   */
  async giveUp(): Promise<void> {
    if (this.#madeFile !== undefined) rmSync(this.#madeFile, { force: true });
    await this.release();
  }

  /** Closes the device if it was opened here, then releases its lock, even if closing fails. */
  async release(): Promise<void> {
    this.#keepAlive.close();
    try {
      if (this.#isOurs) await this.device.close();
    } finally {
      this.#lock?.release();
    }
  }
}

/**
 * What a device is opened for: a store that is there ('store'), a new one ('new'), or the one that is there, otherwise a
 * new one ('either').
 */
export type DeviceUse = 'store' | 'new' | 'either';

/**
 * Opens a device by its spec, or takes an open one. A file is locked before it is opened, so that nobody else has a store
 * open in it, or nobody can write to it ('shared'). A new file is created first and then locked, because nobody can have
 * a store in it yet.
 * @throws EBUSY another user holds the lock, whom the message names; and the errors of opening the device.
 */
export async function holdDevice(
  device: DeviceSpec | BlockDevice,
  lock: StoreLocking,
  use: DeviceUse,
): Promise<HeldDevice> {
  if (isDevice(device)) return new HeldDevice(device, false);
  if (device.kind !== 'file') return new HeldDevice(await openKnown(device), true);
  return use === 'either' ? holdMade(device, lock) : holdFile(device, lock, use);
}

/**
 * Opens the device of a store on one more thread. Another thread holds the lock. Throws the same errors as
 * `openShared`.
 */
export async function holdShared(spec: DeviceSpec, shareWindow: number | undefined): Promise<HeldDevice> {
  const { device } = await openShared(spec, shareWindow);
  specs.set(device, spec);
  return new HeldDevice(device, true, undefined, shareWindow);
}

/**
 * Opens a file for the store in it, or for a new store. A file that does not exist is created. An empty one, from here or
 * left by a process that was killed here, gets its size under the lock. So of two processes one makes the store, and the
 * other finds it locked, or finds the store.
 */
async function holdMade(spec: FileDeviceSpec, locking: StoreLocking): Promise<HeldDevice> {
  const { sizeBytes, ...existing } = spec;
  const path = checkPath('path', spec.path);
  const isMade = sizeBytes !== undefined && makeEmptyFile(path);
  const held = await holdFile(existing, locking, 'store');
  const { device } = held;
  if (!(device instanceof FileDevice) || !isEmptyFile(device)) return held; // whoever locked the file first has made a store
  if (isMade) held.hasMade(path);
  try {
    const bytes = checkMultiple('sizeBytes', sizeBytes, device.blockLengthBytes, Number.MAX_SAFE_INTEGER);
    device.resize(bytes / device.blockLengthBytes);
    return held;
  } catch (error) {
    await held.giveUp();
    throw error;
  }
}

function isEmptyFile({ descriptor }: FileDevice): boolean {
  const stats = fstatSync(descriptor);
  return stats.isFile() && stats.size === 0;
}

async function holdFile(spec: FileDeviceSpec, locking: StoreLocking, use: DeviceUse): Promise<HeldDevice> {
  const path = checkPath('path', spec.path);
  const acquire = () => (locking === 'none' ? undefined : acquireStoreLock(path, { shared: locking === 'shared' }));
  let lock = spec.create ? undefined : acquire();
  let device: BlockDevice | undefined;
  try {
    device = await openKnown(use === 'new' ? spec : asItsStoreSays(spec));
    if (spec.create) lock = acquire();
    if (lock !== undefined) requireSame(device, lock, spec);
    const held = new HeldDevice(device, true, lock);
    if (spec.create) held.hasMade(path);
    return held;
  } catch (error) {
    await device?.close();
    lock?.release();
    throw error;
  }
}

/** Requires that locking and opening found the same file: the path may have changed its target in between. */
function requireSame(device: BlockDevice, lock: StoreLock, spec: FileDeviceSpec): void {
  if (device instanceof FileDevice && device.identity === lock.identity) return;
  const found = `${spec.path} was replaced by another file while it was being opened`;
  throw new BlobstoreError('ENOENT', `${found}: open it again when nothing replaces it any more`);
}

/**
 * Checks the device that a user passes. Returns an open device as it is. Returns a copy of a spec, so that the spec
 * that is checked is also the one that is opened. Throws EINVAL for anything else.
 */
export function checkDevice(what: string, device: unknown): DeviceSpec | BlockDevice {
  return reading(what, () => {
    if (typeof device !== 'object' || device === null || Array.isArray(device)) {
      throw invalid(what, device, 'a device spec, or an open BlockDevice');
    }
    if (isBlockDevice(device)) return device;
    if ('kind' in device) return postableSpec(device as DeviceSpec);
    throw invalid(
      what,
      device,
      'a device spec, which has a kind, or an open BlockDevice, which has all of its members',
    );
  });
}

/** Opens a device by its spec, or returns the device that is open already. */
export function openIfSpec(device: DeviceSpec | BlockDevice): BlockDevice | Promise<BlockDevice> {
  return isDevice(device) ? device : openKnown(device);
}

/** The specs by which devices were opened; custom devices do not know theirs. */
const specs = new WeakMap<BlockDevice, DeviceSpec>();

/** Opens a device, and remembers its spec. */
export async function openKnown(spec: DeviceSpec): Promise<BlockDevice> {
  const device = await openDevice(spec);
  specs.set(device, spec);
  return device;
}

/** Returns the spec by which another thread can open this thread's device. Undefined if it cannot. */
export function specOfDevice(device: BlockDevice): DeviceSpec | undefined {
  const spec = specs.get(device);
  if (spec?.kind === 'custom' || device instanceof OverlayDevice) return spec;
  return device instanceof MemoryDevice || device instanceof FileDevice ? device.spec : undefined;
}

/**
 * A view of a device for the metadata thread of a store that is opened for reading only: what recovery writes stays in
 * memory. The other threads of the store read the device itself. They read only clusters of blobs, and recovery writes
 * to none of these: only to metadata, and to free clusters, which it clears.
 */
export function viewOf(device: BlockDevice): BlockDevice {
  const view = new OverlayDevice(device);
  const spec = specOfDevice(device);
  if (spec !== undefined) specs.set(view, spec);
  return view;
}

/** The spec of a file for reading only; any other device as it is. */
export function forReading(device: DeviceSpec | BlockDevice): DeviceSpec | BlockDevice {
  return isDevice(device) || device.kind !== 'file' ? device : { ...device, readOnly: true };
}

/** True for a file that can only be read, as it is given or open. */
export function isReadOnlyFile(device: DeviceSpec | BlockDevice): boolean {
  const spec = isDevice(device) ? specOfDevice(device) : device;
  return spec?.kind === 'file' && spec.readOnly === true;
}

/** Returns true for an open device, false for a spec. */
export function isDevice(device: DeviceSpec | BlockDevice): device is BlockDevice {
  return typeof (device as Partial<BlockDevice> | null)?.openChannel === 'function';
}
