/** External snapshots that count their open channels, and how often their device was closed. */

import type { BlockDevice, DeviceChannel, ExternalSnapshotRequest, MaybePromise } from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { byteStream } from '../conformance/byte-stream.js';

/** A read-only device that holds the stream of a seed. */
export class ExternalDevice extends FaultyDevice {
  readonly seed: number;
  readonly bytes: Uint8Array;
  openChannels = 0;
  closed = 0;
  degraded = false;
  isLater = false;
  #held: Promise<void> | undefined;

  constructor(seed: number, sizeBytes: number, blockLengthBytes: number) {
    const bytes = byteStream(seed, sizeBytes);
    super(SparseMemoryDevice.fromBytes(bytes, { blockLengthBytes }));
    this.seed = seed;
    this.bytes = bytes;
  }

  override get synchronous(): boolean {
    return !this.isLater;
  }

  override isDegraded(): boolean {
    return this.degraded;
  }

  override openChannel(): DeviceChannel {
    const inner = super.openChannel();
    let isOpen = true;
    this.openChannels++;
    return {
      read: (buffer, at, lba, count) => inner.read(buffer, at, lba, count),
      readv: (buffers, lba, count) => inner.readv(buffers, lba, count),
      write: () => refuse(),
      writev: () => refuse(),
      writeZeroes: () => refuse(),
      unmap: () => refuse(),
      flush: () => inner.flush(),
      close: () => {
        if (isOpen) this.openChannels--;
        isOpen = false;
        inner.close();
      },
    };
  }

  /** Makes `close` wait until the returned function is called. */
  holdClose(): () => void {
    let release: (() => void) | undefined;
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return () => release?.();
  }

  override close(): MaybePromise<void> {
    this.closed++;
    return this.#held;
  }
}

/** Opens devices for a store, and keeps them for the test. */
export class ExternalSource {
  readonly opened: ExternalDevice[] = [];
  readonly requests: ExternalSnapshotRequest[] = [];
  readonly #sizeBytes: number;
  readonly #blockLengthBytes: number;

  constructor(sizeBytes: number, blockLengthBytes = 4096) {
    this.#sizeBytes = sizeBytes;
    this.#blockLengthBytes = blockLengthBytes;
  }

  /** For `openExternalSnapshot`: the first byte of the id is the seed. */
  readonly open = (request: ExternalSnapshotRequest): BlockDevice => {
    this.requests.push(request);
    const device = new ExternalDevice(request.snapshotId[0], this.#sizeBytes, this.#blockLengthBytes);
    this.opened.push(device);
    return device;
  };

  /** The device that was opened last. */
  get last(): ExternalDevice {
    const last = this.opened.at(-1);
    if (!last) throw new Error('no external snapshot was opened');
    return last;
  }

  /** The number of devices that were opened and not closed. */
  get openCount(): number {
    return this.opened.filter(({ closed }) => closed === 0).length;
  }
}

function refuse(): never {
  throw new Error('the engine wrote to an external snapshot');
}
