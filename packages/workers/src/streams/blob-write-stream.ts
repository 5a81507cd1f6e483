/** A Node.js stream that writes to a blob. */

import { Writable } from 'node:stream';

/** The target of a write stream. `start` is the offset of the first byte. */
export interface WriteTarget {
  readonly start: number;
  readonly highWaterMark: number;
  readonly signal: AbortSignal | undefined;
  writev(data: readonly Uint8Array[], offset: number): Promise<void>;
  /** Called after all data has been written. */
  finish(): Promise<void>;
}

type Done = (error?: Error | null) => void;

/**
 * A chunk is complete only when it has been written. While the buffer is full, `write` returns false, so that the
 * source does not outrun the device.
 */
export class BlobWriteStream extends Writable {
  readonly #target: WriteTarget;
  #bytesWritten = 0;
  #writing: Promise<void> | undefined;

  constructor(target: WriteTarget) {
    super({ highWaterMark: target.highWaterMark, signal: target.signal, decodeStrings: true });
    this.#target = target;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#begin(this.#write([chunk]), done);
  }

  /**
   * All chunks that were buffered during a write are written together. So an io unit that they share is written once.
   */
  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#begin(this.#write(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: Done): void {
    this.#begin(this.#target.finish(), done);
  }

  /** The stream is closed when no write is under way any more: then the memory of its chunks is the caller's again. */
  override _destroy(error: Error | null, done: Done): void {
    if (this.#writing === undefined) done(error);
    else void this.#writing.then(() => done(error));
  }

  async #write(data: readonly Uint8Array[]): Promise<void> {
    await this.#target.writev(data, this.#target.start + this.#bytesWritten);
    for (const each of data) this.#bytesWritten += each.length;
  }

  /** Node.js begins the next work only after `done`. */
  #begin(work: Promise<void>, done: Done): void {
    const end = (error?: Error) => {
      this.#writing = undefined;
      done(error);
    };
    this.#writing = work.then(() => end(), end);
  }
}
