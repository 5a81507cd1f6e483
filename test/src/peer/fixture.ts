/**
 * A store on a device in memory, for tests that check the same as SPDK's own tests: 64 MiB, blocks of 4096 bytes,
 * clusters of 1 MiB. Each test runs in four configurations, and ends with a check for leaks.
 */

import {
  type Blob,
  type BlobId,
  Blobstore,
  BlobstoreError,
  type BlockDevice,
  type Channel,
  type CreateOptions,
  type InitOptions,
  type LoadOptions,
  run,
  runSync,
  type Steps,
  type Xattrs,
} from '@blobyard/core';
import { FaultyDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { requireSound } from '../check/require-sound.js';
import { byteStream } from '../conformance/byte-stream.js';
import { RecordingDevice } from './recording-device.js';

export const MIB = 2 ** 20;
/** The number of io units of a cluster, with the fixture's sizes. */
export const PER_CLUSTER = 256;

export interface Configuration {
  readonly canCopy: boolean;
  readonly useExtentTable: boolean;
}

export const CONFIGURATIONS: readonly Configuration[] = [
  { canCopy: false, useExtentTable: false },
  { canCopy: false, useExtentTable: true },
  { canCopy: true, useExtentTable: false },
  { canCopy: true, useExtentTable: true },
];

export interface YardOptions {
  /** The size of the device in bytes. Default: 64 MiB. */
  deviceBytes?: number;
  blockLengthBytes?: number;
  store?: InitOptions & LoadOptions;
}

export type YardTest = (name: string, body: (yard: Yard) => void | Promise<void>, options?: YardOptions) => void;

/** Registers tests in all four configurations. */
export function eachConfiguration(register: (test: YardTest) => void): void {
  describe.each(CONFIGURATIONS)('device copy $canCopy, extent table $useExtentTable', (configuration) => {
    register((name, body, options) => {
      it(name, async () => {
        const yard = new Yard(configuration, options);
        await body(yard);
        yard.finish();
      });
    });
  });
}

/** A device that a test can make asynchronous for a while. */
class TestDevice extends FaultyDevice {
  isLater = false;

  override get synchronous(): boolean {
    return !this.isLater;
  }
}

export class Yard {
  readonly configuration: Configuration;
  readonly memory: SparseMemoryDevice;
  readonly recorder: RecordingDevice;
  readonly device: TestDevice;
  readonly options: InitOptions & LoadOptions;
  /** Set by tests that leave a damaged store, which cannot be checked at the end. */
  leavesDamage = false;
  #store: Blobstore | undefined;
  #channel: Channel | undefined;
  readonly #refs: Blob[] = [];

  constructor(configuration: Configuration = CONFIGURATIONS[1], options: YardOptions = {}) {
    const { deviceBytes = 64 * MIB, blockLengthBytes = 4096, store = {} } = options;
    const { canCopy } = configuration;
    this.configuration = configuration;
    this.memory = new SparseMemoryDevice({ sizeBytes: deviceBytes, blockLengthBytes, canCopy });
    this.recorder = new RecordingDevice(this.memory);
    this.device = new TestDevice(this.recorder);
    this.options = store;
    this.#store = runSync(Blobstore.init(this.device, store));
  }

  get store(): Blobstore {
    if (!this.#store) throw new Error('the test has no store: it was unloaded, or not made yet');
    return this.#store;
  }

  /** The channel that operations use by default. */
  get channel(): Channel {
    this.#channel ??= this.store.openChannel();
    return this.#channel;
  }

  /** The number of used metadata pages, and the number of free clusters. */
  get usage(): { usedPages: number; freeClusters: number } {
    const { shared, freeClusterCount: freeClusters } = this.store;
    return { usedPages: shared.locked(() => shared.pages.countUsed()), freeClusters };
  }

  /** Runs an operation synchronously. */
  do<T>(steps: Steps<T>): T {
    return runSync(steps);
  }

  /** Makes the device asynchronous while `body` runs, with gates for its operations. */
  async later<T>(body: () => Promise<T>): Promise<T> {
    this.device.isLater = true;
    try {
      return await body();
    } finally {
      this.device.isLater = false;
    }
  }

  run<T>(steps: Steps<T>): Promise<T> {
    return run(steps);
  }

  create(options: CreateOptions = {}): BlobId {
    const { useExtentTable } = this.configuration;
    return runSync(this.store.createBlob({ useExtentTable, ...options }));
  }

  open(id: BlobId): Blob {
    const blob = runSync(this.store.openBlob(id));
    this.#refs.push(blob);
    return blob;
  }

  /** Creates a blob and opens it. */
  make(options: CreateOptions = {}): Blob {
    return this.open(this.create(options));
  }

  close(...blobs: Blob[]): void {
    for (const blob of blobs) {
      this.#refs.splice(this.#refs.indexOf(blob), 1);
      runSync(this.store.closeBlob(blob));
    }
  }

  /** Records a reference that the test has opened itself, so that it is closed at the end. */
  adopt(blob: Blob): Blob {
    this.#refs.push(blob);
    return blob;
  }

  /** Forgets a reference that the test has closed itself. */
  forgetRef(blob: Blob): void {
    this.#refs.splice(this.#refs.indexOf(blob), 1);
  }

  delete(id: BlobId): void {
    runSync(this.store.deleteBlob(id));
  }

  resize(blob: Blob, clusterCount: number): void {
    runSync(this.store.resizeBlob(blob, clusterCount));
  }

  sync(blob: Blob): void {
    runSync(this.store.syncBlob(blob));
  }

  /** Makes a blob read-only, also on disk. */
  seal(blob: Blob): void {
    this.store.setReadOnly(blob);
    this.sync(blob);
  }

  snapshot(blob: Blob, xattrs?: Xattrs): BlobId {
    return runSync(this.store.createSnapshot(blob.id, xattrs));
  }

  clone(id: BlobId, xattrs?: Xattrs): BlobId {
    return runSync(this.store.createClone(id, xattrs));
  }

  inflate(blob: Blob): void {
    runSync(this.store.inflateBlob(this.channel, blob.id));
  }

  decouple(blob: Blob): void {
    runSync(this.store.decoupleBlob(this.channel, blob.id));
  }

  /** The bytes that `write` writes. */
  payload(seed: number, count: number): Uint8Array {
    return byteStream(seed, count * this.store.geometry.ioUnitBytes);
  }

  /** Writes the stream of a seed to `count` io units. */
  write(blob: Blob, offset: number, count: number, seed: number): void {
    this.channel.writeSync(blob, this.payload(seed, count), offset, count);
  }

  read(blob: Blob, offset: number, count: number): Uint8Array {
    const buffer = new Uint8Array(count * this.store.geometry.ioUnitBytes).fill(0xa5);
    this.channel.readSync(blob, buffer, offset, count);
    return buffer;
  }

  /** Expects that io units read as the stream of a seed; seed 0: as zeroes. */
  expectContent(blob: Blob, offset: number, count: number, seed: number): void {
    const found = Buffer.from(this.read(blob, offset, count));
    const expected = seed === 0 ? Buffer.alloc(found.length) : Buffer.from(this.payload(seed, count));
    expect(found.compare(expected), `io units ${offset} to ${offset + count} read as seed ${seed}`).toBe(0);
  }

  unload(): void {
    const { store } = this;
    runSync(store.unload());
    this.#forget();
  }

  load(options: LoadOptions = {}): Blobstore {
    this.#store = runSync(Blobstore.load(this.device, { ...this.options, ...options }));
    return this.#store;
  }

  /** Uses a store that the test has opened itself. */
  use(store: Blobstore): void {
    this.#forget();
    this.#store = store;
  }

  /** Closes all blobs, unloads the store, and loads it again. */
  reload(options: LoadOptions = {}): Blobstore {
    this.closeAll();
    this.unload();
    return this.load(options);
  }

  /** Abandons the store, as a killed process does, and loads it again. */
  crash(options: LoadOptions = {}): Blobstore {
    this.abandon();
    return this.load(options);
  }

  /** Abandons the store, as a killed process does. */
  abandon(): void {
    runSync(this.store.abandon());
    this.#forget();
  }

  closeAll(): void {
    for (const blob of this.#refs.splice(0)) runSync(this.store.closeBlob(blob));
  }

  /** Reads raw bytes of the device. */
  peek(offset: number, length: number): Uint8Array {
    return this.#touch(offset, length);
  }

  /** Changes raw bytes of the device. */
  poke(offset: number, change: (bytes: Uint8Array) => void, length = 4096): void {
    this.#touch(offset, length, change);
  }

  /** The offset of a metadata page on the device, in bytes. */
  mdPageOffset(page: number): number {
    const { geometry } = this.store;
    return geometry.mdPageToLba(page as never) * geometry.blockLengthBytes;
  }

  /** Expects consistent memory, and that a clean load and a recovery find the same: no leak, and nothing missing. */
  finish(): void {
    if (!this.#store || this.#store.isClosed) return;
    this.store.verify();
    if (this.leavesDamage) return;
    this.closeAll();
    this.store.verify();
    const inMemory = this.usage;
    this.unload();
    runSync(requireSound(this.device, 'after unloading'));
    const loaded = this.#usageAfterLoad({});
    const recovered = this.#usageAfterLoad({ forceRecover: true });
    expect(loaded, 'a clean load finds what memory had').toEqual(inMemory);
    expect(recovered, 'recovery finds what the masks say').toEqual(loaded);
  }

  #usageAfterLoad(options: LoadOptions): Yard['usage'] {
    const store = this.load(options);
    expect(store.damaged).toEqual([]);
    store.verify();
    const { usage } = this;
    runSync(store.abandon());
    this.#forget();
    return usage;
  }

  #forget(): void {
    this.#store = undefined;
    this.#channel = undefined;
    this.#refs.length = 0;
  }

  #touch(offset: number, length: number, change?: (bytes: Uint8Array) => void): Uint8Array {
    const { blockLengthBytes } = this.memory;
    const first = Math.floor(offset / blockLengthBytes);
    const count = Math.ceil((offset + length) / blockLengthBytes) - first;
    const blocks = new Uint8Array(count * blockLengthBytes);
    const channel = this.memory.openChannel();
    void channel.read(blocks, 0, first, count);
    const bytes = blocks.subarray(offset - first * blockLengthBytes, offset - first * blockLengthBytes + length);
    change?.(bytes);
    if (change) void channel.write(blocks, 0, first, count);
    channel.close();
    return bytes;
  }
}

/** The error code of an operation; 'ok' if it succeeds. */
export function codeOf(operation: () => unknown): string {
  try {
    operation();
    return 'ok';
  } catch (error) {
    if (error instanceof BlobstoreError) return error.code;
    throw error;
  }
}

/** The error code of an operation under way; 'ok' if it succeeds. */
export async function codeOfLater(operation: Promise<unknown>): Promise<string> {
  try {
    await operation;
    return 'ok';
  } catch (error) {
    if (error instanceof BlobstoreError) return error.code;
    throw error;
  }
}

/** The error code of loading the store of a device; 'ok' if it succeeds. The store is abandoned again. */
export function codeOfLoad(device: BlockDevice, options: LoadOptions = {}): string {
  return codeOf(() => runSync(runSync(Blobstore.load(device, options)).abandon()));
}

/** Whether a promise is settled after some turns of the event loop: enough for all operations that wait for no gate. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 10 && !settled; turn++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}
