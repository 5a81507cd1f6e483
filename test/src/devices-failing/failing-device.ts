/**
 * A file device whose transfers fail when a word in shared memory says so, on whichever thread: the module of a custom
 * device. Data that is kept from reads alone is what a bad sector is like.
 */

import type { BlockDevice, DeviceChannel } from '@blobyard/core';
import { FileDevice } from 'blobyard';
import { type CustomDeviceSpec, FaultyDevice, type OperationKind } from 'blobyard/devices';

interface FailingDeviceOptions {
  readonly path: string;
  readonly control: SharedArrayBuffer;
}

/** What fails; one bit each, or several. */
export const FAILING = { NOTHING: 0, READS: 1, WRITES: 2, FLUSHES: 4, ALL: 7 } as const;

/** A device on a file, and what of it fails from now on. */
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

/** By `FaultyDevice`: it is told of a fault just before the operation that is to have it. */
export function openDevice(options: unknown): BlockDevice {
  const { path, control } = options as FailingDeviceOptions;
  const word = new Int32Array(control);
  const device = new FaultyDevice(FileDevice.open({ path }));
  const failing = (bit: number, kind: OperationKind): void => {
    if ((Atomics.load(word, 0) & bit) !== 0) device.failAt(1, { kind });
  };
  const openChannel = device.openChannel.bind(device);
  device.openChannel = () => around(openChannel(), failing);
  Object.defineProperty(device, 'takesBytes', { value: false }); // its channels have no such methods
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
