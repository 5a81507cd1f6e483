/** A Node.js stream that reads a blob. */

import { Readable } from 'node:stream';

/** The source of a read stream. Offsets are bytes; `end` is exclusive. */
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
  #reading: Promise<void> | undefined;

  constructor(source: ReadSource) {
    super({ highWaterMark: source.highWaterMark, signal: source.signal });
    this.#source = source;
    this.#position = source.start;
  }

  get bytesRead(): number {
    return this.#position - this.#source.start;
  }

  /** Node.js calls this when its buffer has room, and calls it again only after the next `push`. */
  override _read(): void {
    const { end, highWaterMark } = this.#source;
    const length = Math.min(end - this.#position, highWaterMark);
    if (length === 0) this.push(null);
    else this.#reading = this.#readChunk(length);
  }

  /** The stream is closed when no read is under way any more. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#reading === undefined) done(error);
    else void this.#reading.then(() => done(error));
  }

  /** Never rejects. */
  async #readChunk(length: number): Promise<void> {
    const chunk = Buffer.allocUnsafeSlow(length); // it is filled completely before it is used
    try {
      await this.#source.read(chunk, this.#position);
    } catch (error) {
      this.#reading = undefined;
      this.destroy(error as Error);
      return;
    }
    this.#reading = undefined;
    this.#position += length;
    this.push(chunk);
  }
}
