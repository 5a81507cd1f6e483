/** The device of a store: opened from its spec and locked, or taken as it was given. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import {
  acquireStoreLock,
  type DeviceSpec,
  FileDevice,
  type FileDeviceSpec,
  MemoryDevice,
  openDevice,
  type StoreLock,
} from '@blobyard/io';
import { isBlockDevice } from '@blobyard/io/internal/block-device-check';
import { invalid, reading } from '../checks/checks.js';
import { KeepAlive } from '../threads/keep-alive.js';
import { openShared } from './shared-device.js';

/** A device, and how to let go of it. */
export class HeldDevice {
  readonly device: BlockDevice;
  /** Where the store's other threads take their shares of the lock; undefined when there is none. */
  readonly shareWindow: number | undefined;
  readonly #isOurs: boolean;
  readonly #lock: StoreLock | undefined;
  readonly #keepAlive = new KeepAlive();

  /** @param shareWindow - of the lock that another thread has, if not this one */
  constructor(device: BlockDevice, isOurs: boolean, lock?: StoreLock, shareWindow = lock?.shareWindow) {
    this.device = device;
    this.shareWindow = shareWindow;
    this.#isOurs = isOurs;
    this.#lock = lock;
  }

  /** Keeps the process alive until `release`. */
  stayAlive(): void {
    this.#keepAlive.begin();
  }

  /** Closes the device if it was opened here, and then frees its lock, whatever happens. */
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
 * Opens a device by its spec. One in a file is locked first of all, if asked: nobody else may have a store in it. A file
 * that is made cannot be anybody's yet. Throws EBUSY naming the holder, and what opening it throws.
 */
export async function holdDevice(device: DeviceSpec | BlockDevice, withLock: boolean): Promise<HeldDevice> {
  if (isDevice(device)) return new HeldDevice(device, false);
  if (device.kind !== 'file' || !withLock) return new HeldDevice(await openKnown(device), true);
  return holdFile(device);
}

/** The device of a store that another thread has locked, on one more thread. Throws as `openShared`. */
export async function holdShared(spec: DeviceSpec, shareWindow: number | undefined): Promise<HeldDevice> {
  const { device } = await openShared(spec, shareWindow);
  specs.set(device, spec);
  return new HeldDevice(device, true, undefined, shareWindow);
}

async function holdFile(spec: FileDeviceSpec): Promise<HeldDevice> {
  let lock = spec.create ? undefined : acquireStoreLock(spec.path);
  let device: BlockDevice | undefined;
  try {
    device = await openDevice(spec);
    lock ??= acquireStoreLock(spec.path);
    requireSame(device, lock, spec);
    return new HeldDevice(device, true, lock);
  } catch (error) {
    await device?.close();
    lock?.release();
    throw error;
  }
}

/** The path can have come to lead to another file between the two. */
function requireSame(device: BlockDevice, lock: StoreLock, spec: FileDeviceSpec): void {
  if (device instanceof FileDevice && device.identity === lock.identity) return;
  const found = `${spec.path} was replaced by another file while it was being opened`;
  throw new BlobstoreError('ENOENT', `${found}: open it once it stays what it is`);
}

/**
 * The device that a user passes: an open one as it is, of a spec a copy, so that what is checked is what is opened. EINVAL for
 * anything else.
 */
export function checkDevice(what: string, device: unknown): DeviceSpec | BlockDevice {
  return reading(what, () => {
    if (typeof device !== 'object' || device === null || Array.isArray(device)) {
      throw invalid(what, device, 'a device spec, or an open BlockDevice');
    }
    if (isBlockDevice(device)) return device;
    if ('kind' in device) return { ...device } as DeviceSpec;
    throw invalid(
      what,
      device,
      'a device spec, which has a kind, or an open BlockDevice, which has all of its members',
    );
  });
}

/** A device by its spec, or as it is. */
export function openIfSpec(device: DeviceSpec | BlockDevice): BlockDevice | Promise<BlockDevice> {
  return isDevice(device) ? device : openKnown(device);
}

/** What the devices were opened by that cannot say it themselves. */
const specs = new WeakMap<BlockDevice, DeviceSpec>();

/** Opens a device, and remembers by what. */
export async function openKnown(spec: DeviceSpec): Promise<BlockDevice> {
  const device = await openDevice(spec);
  specs.set(device, spec);
  return device;
}

/** The spec by which another thread opens a device that this one has; undefined when it cannot. */
export function specOfDevice(device: BlockDevice): DeviceSpec | undefined {
  const spec = specs.get(device);
  if (spec?.kind === 'custom') return spec;
  return device instanceof MemoryDevice || device instanceof FileDevice ? device.spec : undefined;
}

/** True for an open device, false for a spec. */
export function isDevice(device: DeviceSpec | BlockDevice): device is BlockDevice {
  return typeof (device as Partial<BlockDevice> | null)?.openChannel === 'function';
}
