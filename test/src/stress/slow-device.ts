/**
 * A memory device that now and then takes its time before a transfer: what happens between the moment at which a channel has
 * looked a cluster up and the moment at which the bytes move then has a chance to go wrong. The module of a custom device.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import { MemoryDevice, type SharedWasmMemory } from '@blobyard/io';

export interface SlowDeviceOptions {
  readonly memory: SharedWasmMemory;
  /** Transfers are promises; otherwise the thread stands still meanwhile. */
  readonly isAsynchronous: boolean;
}

/** Transfers of which one is slow, on the average. */
const SLOW_ONE_OF = 3;
const SLOW_MICROSECONDS_MAX = 250;
const SLOW_TURNS_MAX = 12;

export function openDevice({ memory, isAsynchronous }: SlowDeviceOptions): BlockDevice {
  const device = new MemoryDevice({ memory });
  const { blockLengthBytes, canCopy } = device;
  const before = isAsynchronous ? later : standStill;
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

type Before = (transfer: () => MaybePromise<void>) => MaybePromise<void>;

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

function standStill(transfer: () => MaybePromise<void>): MaybePromise<void> {
  if (Math.random() * SLOW_ONE_OF < 1) {
    const end = performance.now() + (Math.random() * SLOW_MICROSECONDS_MAX) / 1000;
    while (performance.now() < end);
  }
  return transfer();
}

async function later(transfer: () => MaybePromise<void>): Promise<void> {
  const turns = Math.random() * SLOW_ONE_OF < 1 ? Math.random() * SLOW_TURNS_MAX : 1;
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  await transfer();
}
