/**
 * A custom device that breaks the rules: on every thread it fails with errors that are not a `BlobstoreError`, while a
 * word in shared memory says so. This file is the module of the custom device.
 */

import { isMainThread, workerData } from 'node:worker_threads';
import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import { type CustomDeviceSpec, MemoryDevice } from '@blobyard/io';

/** True on an I/O worker. It is the only thread without `workerData`, except the main thread. */
const isIoWorker = !isMainThread && !workerData;

/** The bits for what fails. */
export const RAW = {
  NOTHING: 0,
  TRANSFERS: 1,
  OPENING: 2,
  CHANNELS: 4,
  CLOSING: 8,
  CLOSING_BY_IO_WORKERS: 16,
} as const;

interface RawDeviceOptions {
  readonly memory: MemoryDevice['memory'];
  readonly control: SharedArrayBuffer;
  /** True: the device is asynchronous, and its requests reject. */
  readonly isLater: boolean;
}

export class RawDevice {
  readonly spec: CustomDeviceSpec;
  readonly control = new Int32Array(new SharedArrayBuffer(4));

  constructor(isLater: boolean, sizeBytes = 8 << 20) {
    const { memory } = MemoryDevice.create({ sizeBytes, canCopy: false });
    const options: RawDeviceOptions = { memory, control: this.control.buffer as SharedArrayBuffer, isLater };
    const module = new URL('../../dist/devices-failing/raw-device.js', import.meta.url).href;
    this.spec = { kind: 'custom', module, options };
  }

  fail(what: number): void {
    Atomics.store(this.control, 0, what);
  }
}

export function openDevice(options: unknown): BlockDevice {
  const { memory, control, isLater } = options as RawDeviceOptions;
  const words = new Int32Array(control);
  const check = (bit: number) => {
    if ((Atomics.load(words, 0) & bit) !== 0) throw Object.assign(new TypeError('raw'), { code: 'EREMOTEIO' });
  };
  check(RAW.OPENING);
  const device = new MemoryDevice({ memory });
  const later = async (operation: () => MaybePromise<void>) => operation();
  const transfer = (operation: () => MaybePromise<void>) => {
    const checked = () => {
      check(RAW.TRANSFERS);
      return operation();
    };
    return isLater ? later(checked) : checked();
  };
  return {
    blockLengthBytes: device.blockLengthBytes,
    blockCount: device.blockCount,
    synchronous: !isLater,
    canCopy: false,
    openChannel(): DeviceChannel {
      check(RAW.CHANNELS);
      const channel = device.openChannel();
      return {
        read: (...args) => transfer(() => channel.read(...args)),
        readv: (...args) => transfer(() => channel.readv(...args)),
        write: (...args) => transfer(() => channel.write(...args)),
        writev: (...args) => transfer(() => channel.writev(...args)),
        writeZeroes: (...args) => transfer(() => channel.writeZeroes(...args)),
        unmap: (...args) => transfer(() => channel.unmap(...args)),
        flush: () => transfer(() => channel.flush()),
        close: () => channel.close(),
      };
    },
    close() {
      check(RAW.CLOSING);
      if (isIoWorker) check(RAW.CLOSING_BY_IO_WORKERS);
      return device.close();
    },
  };
}
