/**
 * A simulated device with a volatile write cache. A request stays in flight until the scheduler completes it. Its
 * change stays in the cache until a flush that was issued later has completed. At a power cut, each unflushed change
 * and each request in flight is kept, dropped or torn, as the seed decides (`tearing.ts`).
 */

import { BlobstoreError, type BlockDevice, type DeviceChannel, type MaybePromise } from '@blobyard/core';
import type { Random } from '../random.js';
import { type Change, chooseFate, keptPieces, put, shuffle } from './tearing.js';

export interface SimDeviceOptions {
  readonly sizeBytes: number;
  /** The size up to which it may grow, in bytes. */
  readonly sizeBytesMax: number;
  readonly blockLengthBytes: number;
  readonly canCopy: boolean;
  /** True: it has `isZeroes`, which needs no read. */
  readonly knowsZeroes: boolean;
  readonly takesBytes: boolean;
  /** True: it names the owner of its cache (`BlockDevice.cacheOwner`). */
  readonly namesCacheOwner: boolean;
}

type RequestKind = 'read' | 'write' | 'zero' | 'copy' | 'flush';

interface Request {
  readonly kind: RequestKind;
  readonly at: number;
  readonly length: number;
  /** The buffers of a read or write. The caller must not change them until the request has ended. */
  readonly buffers: readonly Uint8Array[];
  /** For a copy, the offset of the source in bytes; for a flush, the number of changes before it. */
  readonly from: number;
  readonly resolve: () => void;
}

/** Called for each request, for the trace and the hash of a simulation. `at` and `length` are in bytes. */
export type DeviceObserver = (event: 'issued' | 'done', kind: RequestKind, at: number, length: number) => void;

export class SimDevice implements BlockDevice {
  readonly blockLengthBytes: number;
  readonly synchronous = false;
  readonly canCopy: boolean;
  readonly takesBytes: boolean;
  readonly isZeroes: ((lba: number, blockCount: number) => boolean) | undefined;
  /** The offset at which data clusters begin, in bytes. */
  dataStart = Number.POSITIVE_INFINITY;
  /** True: every request completes at once. */
  isInstant = false;
  onRequest: DeviceObserver | undefined;
  /** The bytes that reads return. */
  readonly #current: Uint8Array;
  /** The bytes that are certainly on the medium. */
  readonly #durable: Uint8Array;
  readonly #zeroes: Uint8Array;
  #sizeBytes: number;
  #sizeBytesKnown: number;
  /** The changes in the cache, oldest first. `#cacheBase`: the number of changes before them. */
  #cache: Change[] = [];
  #cacheBase = 0;
  #inFlight: Request[] = [];
  /** The number of cuts so far. Requests by a channel from before the last cut are never answered. */
  #life = 0;
  /** The owner of the cache. It contains the number of power cuts, because after one the cache is another one. */
  readonly #cacheOwner: Uint8Array | undefined;

  constructor(options: SimDeviceOptions) {
    this.blockLengthBytes = options.blockLengthBytes;
    this.canCopy = options.canCopy;
    this.takesBytes = options.takesBytes;
    this.#current = new Uint8Array(options.sizeBytesMax);
    this.#durable = new Uint8Array(options.sizeBytesMax);
    this.#zeroes = new Uint8Array(1 << 16);
    this.#sizeBytes = options.sizeBytes;
    this.#sizeBytesKnown = options.sizeBytes;
    this.#cacheOwner = options.namesCacheOwner ? new Uint8Array(16) : undefined;
    this.isZeroes = options.knowsZeroes ? this.#areZeroes.bind(this) : undefined;
  }

  get blockCount(): number {
    return this.#sizeBytesKnown / this.blockLengthBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get cacheOwner(): Uint8Array | undefined {
    return this.#cacheOwner;
  }

  get inFlightCount(): number {
    return this.#inFlight.length;
  }

  /** The number of changes that a power cut could undo. */
  get unflushedCount(): number {
    return this.#cache.length;
  }

  /** Puts bytes directly on the medium, without a request. */
  fill(at: number, bytes: Uint8Array): void {
    this.#current.set(bytes, at);
    this.#durable.set(bytes, at);
  }

  resize(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
  }

  refresh(): void {
    this.#sizeBytesKnown = this.#sizeBytes;
  }

  close(): void {
    // there is nothing to give back
  }

  openChannel(): DeviceChannel {
    return new SimChannel(this, this.#life);
  }

  /** Issues a request, with offset and length in bytes. A request of a channel from before the last cut never ends. */
  issue(
    life: number,
    kind: RequestKind,
    at: number,
    length: number,
    buffers: readonly Uint8Array[],
    from: number,
  ): MaybePromise<void> {
    if (life !== this.#life) return new Promise(() => undefined);
    if (!(at >= 0 && at + length <= this.#sizeBytes)) {
      throw new BlobstoreError('EIO', `${kind} of ${length} bytes at ${at} is outside the device`);
    }
    const fields = { kind, at, length, buffers };
    const mark = kind === 'flush' ? this.#cacheBase + this.#cache.length : from;
    this.onRequest?.('issued', kind, at, length);
    if (this.isInstant) {
      this.#carryOut({ ...fields, from: mark, resolve: () => undefined });
      return undefined;
    }
    return new Promise<void>((resolve) => this.#inFlight.push({ ...fields, from: mark, resolve }));
  }

  /** Completes one of the requests in flight. */
  completeOne(random: Random): void {
    const index = random.below(this.#inFlight.length);
    const request = this.#inFlight[index];
    // The order of the other requests stays, so that those issued first mostly end first.
    this.#inFlight.splice(index, 1);
    this.#carryOut(request);
    this.onRequest?.('done', request.kind, request.at, request.length);
    request.resolve();
  }

  /** Cuts the power. Of the unflushed changes some are on the medium, and the others are lost. */
  cutPower(random: Random): void {
    const changes = [...this.#cache, ...this.#takeInFlight(random)];
    const keeps = chooseFate(random, changes.length);
    changes.forEach((change, index) => {
      this.#keepPieces(change, (piece, pieces) => keeps(index, piece, pieces), this.#durable);
    });
    for (const { at, length } of changes) this.#current.set(this.#durable.subarray(at, at + length), at);
    this.#cacheBase += this.#cache.length;
    this.#cache = [];
    this.#life++;
    if (this.#cacheOwner) this.#cacheOwner[0]++;
  }

  /** Kills the process. The device keeps all its changes, and some of the requests in flight take effect. */
  killProcess(random: Random): void {
    const changes = this.#takeInFlight(random);
    const keeps = chooseFate(random, changes.length);
    changes.forEach((change, index) => {
      this.#keepPieces(change, (piece, pieces) => keeps(index, piece, pieces), undefined);
    });
    this.#life++;
  }

  #carryOut(request: Request): void {
    if (request.kind === 'read') this.#read(request);
    else if (request.kind === 'flush') this.#flush(request.from);
    else this.#change(this.#changeOf(request));
  }

  #read({ at, buffers }: Request): void {
    let from = at;
    for (const buffer of buffers) {
      buffer.set(this.#current.subarray(from, from + buffer.length));
      from += buffer.length;
    }
  }

  #changeOf({ kind, at, length, buffers, from }: Request): Change {
    if (kind === 'zero') return { at, length, bytes: undefined };
    if (kind === 'copy') return { at, length, bytes: this.#current.slice(from, from + length) };
    if (buffers.length === 1) return { at, length, bytes: buffers[0].slice() };
    const bytes = new Uint8Array(length);
    let to = 0;
    for (const buffer of buffers) {
      bytes.set(buffer, to);
      to += buffer.length;
    }
    return { at, length, bytes };
  }

  #change(change: Change): void {
    put(this.#current, change);
    this.#cache.push(change);
  }

  #flush(mark: number): void {
    const count = mark - this.#cacheBase;
    if (count <= 0) return;
    for (let index = 0; index < count; index++) put(this.#durable, this.#cache[index]);
    this.#cache.splice(0, count);
    this.#cacheBase = mark;
  }

  /** Removes the requests in flight. Returns their changes in a random order. */
  #takeInFlight(random: Random): Change[] {
    const changes = this.#inFlight
      .filter(({ kind }) => kind !== 'read' && kind !== 'flush')
      .map((request) => this.#changeOf(request));
    this.#inFlight = [];
    return shuffle(random, changes);
  }

  /** Puts the pieces of a change that are kept on `medium`, or into the cache without a medium. */
  #keepPieces(change: Change, keeps: (piece: number, pieces: number) => boolean, medium: Uint8Array | undefined): void {
    for (const piece of keptPieces(change, this.dataStart, keeps)) {
      if (medium) put(medium, piece);
      else this.#change(piece);
    }
  }

  #areZeroes(lba: number, blockCount: number): boolean {
    const end = (lba + blockCount) * this.blockLengthBytes;
    for (let at = lba * this.blockLengthBytes; at < end; at += this.#zeroes.length) {
      const bytes = this.#current.subarray(at, Math.min(end, at + this.#zeroes.length));
      if (Buffer.compare(bytes, this.#zeroes.subarray(0, bytes.length)) !== 0) return false;
    }
    return true;
  }
}

class SimChannel implements DeviceChannel {
  readonly #device: SimDevice;
  readonly #life: number;
  readonly copy: DeviceChannel['copy'];
  readonly readBytes: DeviceChannel['readBytes'];
  readonly writeBytes: DeviceChannel['writeBytes'];

  constructor(device: SimDevice, life: number) {
    this.#device = device;
    this.#life = life;
    if (device.canCopy) {
      this.copy = (target, source, count) =>
        this.#issue('copy', target, count, [], source * this.#device.blockLengthBytes);
    }
    if (!device.takesBytes) return;
    this.readBytes = (buffer, offset, position, length) =>
      device.issue(life, 'read', position, length, [buffer.subarray(offset, offset + length)], 0);
    this.writeBytes = (buffer, offset, position, length) =>
      device.issue(life, 'write', position, length, [buffer.subarray(offset, offset + length)], 0);
  }

  read(buffer: Uint8Array, bufferOffset: number, lba: number, count: number): MaybePromise<void> {
    return this.#issue('read', lba, count, [this.#part(buffer, bufferOffset, count)]);
  }

  write(buffer: Uint8Array, bufferOffset: number, lba: number, count: number): MaybePromise<void> {
    return this.#issue('write', lba, count, [this.#part(buffer, bufferOffset, count)]);
  }

  readv(buffers: readonly Uint8Array[], lba: number, count: number): MaybePromise<void> {
    return this.#issue('read', lba, count, buffers);
  }

  writev(buffers: readonly Uint8Array[], lba: number, count: number): MaybePromise<void> {
    return this.#issue('write', lba, count, buffers);
  }

  writeZeroes(lba: number, count: number): MaybePromise<void> {
    return this.#issue('zero', lba, count, []);
  }

  unmap(lba: number, count: number): MaybePromise<void> {
    return this.#issue('zero', lba, count, []);
  }

  flush(): MaybePromise<void> {
    return this.#issue('flush', 0, 0, []);
  }

  close(): void {
    // requests in flight end all the same
  }

  #issue(kind: RequestKind, lba: number, count: number, buffers: readonly Uint8Array[], from = 0): MaybePromise<void> {
    const { blockLengthBytes } = this.#device;
    return this.#device.issue(this.#life, kind, lba * blockLengthBytes, count * blockLengthBytes, buffers, from);
  }

  #part(buffer: Uint8Array, offset: number, count: number): Uint8Array {
    return buffer.subarray(offset, offset + count * this.#device.blockLengthBytes);
  }
}
