/**
 * A file device whose transfers fail on every thread while a word in shared memory says so. This file is the module of
 * a custom device. If only reads fail, the device is like one with a bad sector.
 */

import type { BlockDevice, DeviceChannel } from '@blobyard/core';
import { FileDevice } from 'blobyard';
import { type CustomDeviceSpec, FaultyDevice, type OperationKind } from 'blobyard/devices';

interface FailingDeviceOptions {
  readonly path: string;
  readonly control: SharedArrayBuffer;
}

/** The bits for the requests that fail. */
export const FAILING = { NOTHING: 0, READS: 1, WRITES: 2, FLUSHES: 4, ALL: 7 } as const;

/** The spec of such a device, and the control of what fails. */
export class FailingFile {
  readonly spec: CustomDeviceSpec;
  readonly #control = new Int32Array(new SharedArrayBuffer(4));

  constructor(path: string) {
    const options: FailingDeviceOptions = { path, control: this.#control.buffer as SharedArrayBuffer };
    this.spec = {
      kind: 'custom',
      module: new URL('../../dist/devices-failing/failing-device.js', import.meta.url).href,
      options,
    };
  }

  fail(what: number): void {
    Atomics.store(this.#control, 0, what);
  }
}

/** Uses a `FaultyDevice`, which gets a fault just before the operation that must fail. */
export function openDevice(options: unknown): BlockDevice {
  const { path, control } = options as FailingDeviceOptions;
  const word = new Int32Array(control);
  const device = new FaultyDevice(FileDevice.open({ path }));
  const failing = (bit: number, kind: OperationKind): void => {
    if ((Atomics.load(word, 0) & bit) !== 0) device.failAt(1, { kind });
  };
  const openChannel = device.openChannel.bind(device);
  device.openChannel = () => around(openChannel(), failing);
  Object.defineProperty(device, 'takesBytes', { value: false }); // these channels have no methods for byte ranges
  return device;
}

function around(channel: DeviceChannel, failing: (bit: number, kind: OperationKind) => void): DeviceChannel {
  return {
    read(buffer, at, lba, count) {
      failing(FAILING.READS, 'read');
      return channel.read(buffer, at, lba, count);
    },
    readv(buffers, lba, count) {
      failing(FAILING.READS, 'read');
      return channel.readv(buffers, lba, count);
    },
    write(buffer, at, lba, count) {
      failing(FAILING.WRITES, 'write');
      return channel.write(buffer, at, lba, count);
    },
    writev(buffers, lba, count) {
      failing(FAILING.WRITES, 'write');
      return channel.writev(buffers, lba, count);
    },
    writeZeroes(lba, count) {
      failing(FAILING.WRITES, 'writeZeroes');
      return channel.writeZeroes(lba, count);
    },
    unmap(lba, count) {
      failing(FAILING.WRITES, 'unmap');
      return channel.unmap(lba, count);
    },
    flush() {
      failing(FAILING.FLUSHES, 'flush');
      return channel.flush();
    },
    close: () => channel.close(),
  };
}
