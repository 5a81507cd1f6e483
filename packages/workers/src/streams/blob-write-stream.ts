/** A Node stream that writes into a blob. */

import { Writable } from 'node:stream';

/** What a stream writes by. */
export interface WriteTarget {
  readonly start: number;
  readonly highWaterMark: number;
  readonly signal: AbortSignal | undefined;
  writev(data: readonly Uint8Array[], offset: number): Promise<void>;
  /** Called once all is written. */
  finish(): Promise<void>;
}

type Done = (error?: Error | null) => void;

/** A chunk counts as taken when it is written, and `write` answers false meanwhile: the source goes as fast as the device. */
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

  /** All chunks that have come while one was written go out together: io units that they share are written once. */
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
