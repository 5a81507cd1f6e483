/**
 * A memory device that sometimes waits before a transfer. This makes races likely between the moment when a channel has
 * looked up a cluster and the moment when the bytes move. This file is the module of a custom device.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import type { SharedWasmMemory } from '@blobyard/io/internal/bulk-memory';

export interface SlowDeviceOptions {
  readonly memory: SharedWasmMemory;
  /** True: transfers return promises. False: the thread blocks during the wait. */
  readonly isAsynchronous: boolean;
  /**
   * The longest wait of a very slow transfer, in milliseconds. Default: about the time to make and check a snapshot.
   */
  readonly stallMsMax?: number;
}

/** On average, one of so many transfers is slow, and waits up to `SLOW_MS_MAX` milliseconds. */
const SLOW_ONE_OF = 3;
const SLOW_MS_MAX = 0.2;
const STALL_ONE_OF = 40;
const STALL_MS_MAX = 100;

export function openDevice(options: SlowDeviceOptions): BlockDevice {
  const { memory, isAsynchronous } = options;
  const device = new MemoryDevice({ memory });
  const { blockLengthBytes, canCopy } = device;
  const before = slowness(options);
  return {
    blockLengthBytes,
    canCopy,
    synchronous: !isAsynchronous,
    get blockCount() {
      return device.blockCount;
    },
    openChannel: () => slowChannel(device.openChannel(), before),
    close: () => device.close(),
  };
}

/** Executes a transfer after a wait. */
export type Before = (transfer: () => MaybePromise<void>) => MaybePromise<void>;

export function slowness({ isAsynchronous, stallMsMax = STALL_MS_MAX }: Omit<SlowDeviceOptions, 'memory'>): Before {
  const wait = isAsynchronous ? later : standStill;
  return (transfer) => wait(delayMs(stallMsMax), transfer);
}

function slowChannel(channel: DeviceChannel, before: Before): DeviceChannel {
  return {
    read: (buffer, at, lba, count) => before(() => channel.read(buffer, at, lba, count)),
    write: (buffer, at, lba, count) => before(() => channel.write(buffer, at, lba, count)),
    readv: (buffers, lba, count) => before(() => channel.readv(buffers, lba, count)),
    writev: (buffers, lba, count) => before(() => channel.writev(buffers, lba, count)),
    writeZeroes: (lba, count) => before(() => channel.writeZeroes(lba, count)),
    unmap: (lba, count) => before(() => channel.unmap(lba, count)),
    flush: () => before(() => channel.flush()),
    copy: (target, source, count) => before(() => channel.copy?.(target, source, count)),
    close: () => channel.close(),
  };
}

/** The wait before the next transfer, in milliseconds. */
function delayMs(stallMsMax: number): number {
  if (Math.random() * STALL_ONE_OF < 1) return Math.random() * stallMsMax;
  return Math.random() * SLOW_ONE_OF < 1 ? Math.random() * SLOW_MS_MAX : 0;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function standStill(ms: number, transfer: () => MaybePromise<void>): MaybePromise<void> {
  if (ms > 0) Atomics.wait(sleeper, 0, 0, ms);
  return transfer();
}

async function later(ms: number, transfer: () => MaybePromise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    if (ms > SLOW_MS_MAX) setTimeout(resolve, ms);
    else setImmediate(resolve);
  });
  await transfer();
}
