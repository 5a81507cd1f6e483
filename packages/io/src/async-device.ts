/**
 * Wraps a device, synchronous or not, into an asynchronous one: every operation runs later, one at a time. Operations
 * in flight run in the order of their calls, or in the order that a function `random` chooses. The wrapped device sees
 * an operation only when its turn comes, just before the promise resolves.
 */

import type { BlockDevice, DeviceChannel, MaybePromise, RequestOptions } from '@blobyard/core';
import { BlobstoreError } from '@blobyard/core';
import { checkChoice, checkObject, invalid } from '@blobyard/core/internal/argument-checks';
import { checkBlockDevice } from './block-device-check.js';
import { WrappedDevice } from './wrapped-device.js';

/** Options for `asyncDevice`. */
export interface AsyncDeviceOptions {
  /** When operations run: later in the same turn of the event loop, or in a later turn. Default: 'macrotask'. */
  readonly when?: 'microtask' | 'macrotask';
  /**
   * Shuffles the operations in flight: each call returns a number from 0 (included) to 1 (excluded), which chooses the
   * operation that runs next. `Math.random`, or a seeded generator, which gives the same order for the same calls.
   * Default: no shuffling, operations run in the order of their calls.
   */
  readonly random?: () => number;
}

/** Wraps a device. Close the wrapper, which closes the device. Throws EINVAL for invalid options or no device. */
export function asyncDevice(device: BlockDevice, options: AsyncDeviceOptions = {}): BlockDevice {
  const given = checkObject('options of asyncDevice', options, ['when', 'random']);
  const when = checkChoice('when', given.when, ['macrotask', 'microtask']);
  const { random } = given;
  if (random !== undefined && typeof random !== 'function') throw invalid('random', random, 'a function');
  return new AsyncDevice(checkBlockDevice(device), new LaterQueue(when, random as AsyncDeviceOptions['random']));
}

/** Runs the queued operations one at a time, each in a task of its own. */
class LaterQueue {
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #defer: (task: () => void) => void;
  readonly #random: () => number;
  #isRunning = false;
  #onIdle: (() => void) | undefined;

  constructor(when: AsyncDeviceOptions['when'], random: AsyncDeviceOptions['random']) {
    this.#defer = when === 'microtask' ? queueMicrotask : setImmediate;
    this.#random = random ?? (() => 0);
  }

  run(operation: () => MaybePromise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      // An async function, so that what the operation throws becomes a rejection.
      this.#waiting.push(() => (async () => operation())().then(resolve, reject));
      this.#schedule();
    });
  }

  /** Resolves when the queue is empty and no operation runs. */
  idle(): Promise<void> {
    if (!this.#isRunning) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #schedule(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#defer(() => this.#runNext());
  }

  #runNext(): void {
    const last = this.#waiting.length - 1;
    const index = Math.max(0, Math.min(last, Math.floor(this.#random() * (last + 1)))); // a valid index, whatever number the function returns
    const [operation] = this.#waiting.splice(index, 1);
    void operation().then(() => {
      this.#isRunning = false;
      if (this.#waiting.length > 0) this.#schedule();
      else this.#onIdle?.();
    });
  }
}

class AsyncDevice extends WrappedDevice implements BlockDevice {
  readonly synchronous = false;
  readonly #queue: LaterQueue;
  #closing: Promise<void> | undefined;

  constructor(inner: BlockDevice, queue: LaterQueue) {
    super(inner);
    this.#queue = queue;
  }

  openChannel(): DeviceChannel {
    const inner = this.inner.openChannel();
    return new AsyncChannel(inner, this.#queue, () => this.#closing === undefined);
  }

  async refresh(): Promise<void> {
    await this.inner.refresh?.();
  }

  /** Waits for the operations in flight, then closes the wrapped device. */
  close(): Promise<void> {
    this.#closing ??= this.#queue.idle().then(() => this.inner.close());
    return this.#closing;
  }
}

class AsyncChannel implements DeviceChannel {
  readonly copy?: DeviceChannel['copy'];
  readonly readBytes?: DeviceChannel['readBytes'];
  readonly writeBytes?: DeviceChannel['writeBytes'];
  readonly #inner: DeviceChannel;
  readonly #queue: LaterQueue;
  readonly #isDeviceOpen: () => boolean;
  #isOpen = true;

  constructor(inner: DeviceChannel, queue: LaterQueue, isDeviceOpen: () => boolean) {
    this.#inner = inner;
    this.#queue = queue;
    this.#isDeviceOpen = isDeviceOpen;
    if (inner.copy) this.copy = (...args) => this.#later(() => inner.copy?.(...args));
    if (inner.readBytes) this.readBytes = (...args) => this.#later(() => inner.readBytes?.(...args));
    if (inner.writeBytes) this.writeBytes = (...args) => this.#later(() => inner.writeBytes?.(...args));
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): Promise<void> {
    return this.#later(() => this.#inner.read(buffer, bufferOffset, lba, blockCount));
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, blockCount: number): Promise<void> {
    return this.#later(() => this.#inner.write(buffer, bufferOffset, lba, blockCount));
  }

  readv(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): Promise<void> {
    return this.#later(() => this.#inner.readv(buffers, lba, blockCount, options));
  }

  writev(buffers: readonly Uint8Array[], lba: number, blockCount: number, options?: RequestOptions): Promise<void> {
    return this.#later(() => this.#inner.writev(buffers, lba, blockCount, options));
  }

  writeZeroes(lba: number, blockCount: number): Promise<void> {
    return this.#later(() => this.#inner.writeZeroes(lba, blockCount));
  }

  unmap(lba: number, blockCount: number): Promise<void> {
    return this.#later(() => this.#inner.unmap(lba, blockCount));
  }

  flush(): Promise<void> {
    return this.#later(() => this.#inner.flush());
  }

  /**
   * Operations in flight still run, because the channel of the wrapped device stays open until the device is closed.
   */
  close(): void {
    this.#isOpen = false;
  }

  #later(operation: () => MaybePromise<void>): Promise<void> {
    if (this.#isOpen && this.#isDeviceOpen()) return this.#queue.run(operation);
    return Promise.reject(new BlobstoreError('EBADF', 'the channel or its device is closed; open another'));
  }
}
