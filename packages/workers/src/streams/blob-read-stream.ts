/** A Node.js stream that reads a blob. */

import { Readable } from 'node:stream';

/** The source of a read stream. All numbers are bytes; `end` is exclusive. */
export interface ReadSource {
  readonly start: number;
  readonly end: number;
  readonly highWaterMark: number;
  readonly signal: AbortSignal | undefined;
  /** Fills `into` with the bytes from `offset` on. */
  read(into: Uint8Array, offset: number): Promise<unknown>;
}

export class BlobReadStream extends Readable {
  readonly #source: ReadSource;
  #position: number;

  constructor(source: ReadSource) {
    super({ highWaterMark: source.highWaterMark, signal: source.signal });
    this.#source = source;
    this.#position = source.start;
  }

  /** Node.js calls this when its buffer has room, and calls it again only after the next `push`. */
  override _read(): void {
    const { end, highWaterMark } = this.#source;
    const length = Math.min(end - this.#position, highWaterMark);
    if (length === 0) {
      this.push(null);
      return;
    }
    const chunk = Buffer.allocUnsafeSlow(length); // it is filled completely before it is used
    this.#source.read(chunk, this.#position).then(
      () => {
        this.#position += length;
        this.push(chunk);
      },
      (error: Error) => this.destroy(error),
    );
  }
}
