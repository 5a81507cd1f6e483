/** A Node.js stream that writes to a blob. */

import { Writable } from 'node:stream';

/** The target of a write stream. All numbers are bytes; `start` is the offset of the first one. */
export interface WriteTarget {
  readonly start: number;
  readonly highWaterMark: number;
  readonly signal: AbortSignal | undefined;
  /** Writes the buffers one after another, from `offset` on. */
  writev(data: readonly Uint8Array[], offset: number): Promise<void>;
  /** Called after all data has been written. */
  finish(): Promise<void>;
}

type Done = (error?: Error | null) => void;

/**
 * A chunk is complete only when it has been written. While the buffer is full, `write` returns false, so that the
 * source does not get ahead of the device.
 */
export class BlobWriteStream extends Writable {
  readonly #target: WriteTarget;
  #position: number;

  constructor(target: WriteTarget) {
    super({ highWaterMark: target.highWaterMark, signal: target.signal, decodeStrings: true });
    this.#target = target;
    this.#position = target.start;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#write([chunk], done);
  }

  /**
   * All chunks that were buffered during a write are written together. So an io unit that they share is written once.
   */
  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#write(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    settle(this.#target.finish(), done);
  }

  #write(data: Uint8Array[], done: Done): void {
    const offset = this.#position;
    for (const each of data) this.#position += each.length;
    settle(this.#target.writev(data, offset), done);
  }
}

function settle(work: Promise<void>, done: Done): void {
  work.then(
    () => done(),
    (error: Error) => done(error),
  );
}
