/** A blob's bytes as a Node stream. */

import { Readable } from 'node:stream';

/** What a stream reads by; `end` is the byte after the last. */
export interface ReadSource {
  readonly start: number;
  readonly end: number;
  readonly highWaterMark: number;
  readonly signal: AbortSignal | undefined;
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

  /** Node asks for the next bytes only when it has room for them, and not again before it has got them. */
  override _read(): void {
    const { end, highWaterMark } = this.#source;
    const length = Math.min(end - this.#position, highWaterMark);
    if (length === 0) {
      this.push(null);
      return;
    }
    const chunk = Buffer.allocUnsafeSlow(length); // all of it is read into, or it is never seen
    this.#source.read(chunk, this.#position).then(
      () => {
        this.#position += length;
        this.push(chunk);
      },
      (error: Error) => this.destroy(error),
    );
  }
}
