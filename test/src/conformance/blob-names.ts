/** What a trace calls its blobs: a name for each id, and the blobs that it has open. */

import { type Blob, BlobstoreError, ERRNO, type ErrorCode, pageOfBlobId } from '@blobyard/core';

/** A blob that the trace has opened, as often as `refs` says. */
interface OpenBlob {
  readonly blob: Blob;
  refs: number;
}

export class BlobNames {
  readonly #ids = new Map<string, bigint>();
  readonly #open = new Map<string, OpenBlob>();

  /** Gives a new blob its name. */
  add(name: string | undefined, id: bigint): void {
    this.#ids.set(name ?? '', id);
  }

  /** The blob is there no more. */
  remove(name: string): void {
    this.#ids.delete(name);
  }

  /** There is a new store, without blobs. */
  clear(): void {
    this.#ids.clear();
  }

  /** The name of a blob; one that the trace did not name goes by its page. */
  nameOf(id: bigint): string {
    for (const [name, known] of this.#ids) if (known === id) return name;
    return `?${pageOfBlobId(id)}`;
  }

  requireNew(name: string | undefined): void {
    if (this.#ids.has(name ?? '')) fail('EEXIST');
  }

  requireId(name: string | undefined): bigint {
    return this.#ids.get(name ?? '') ?? fail('EBADF');
  }

  /** The blob has been opened once more. */
  opened(name: string | undefined, blob: Blob): void {
    const open = this.#open.get(name ?? '');
    if (open) open.refs++;
    else this.#open.set(name ?? '', { blob, refs: 1 });
  }

  /** The blob has been closed once. */
  closed(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    open.refs--;
    if (open.refs === 0) this.#open.delete(name);
  }

  /** The store has been let go of, with all blobs that were open. */
  forgetOpen(): void {
    this.#open.clear();
  }

  requireOpen(name: string | undefined): Blob {
    return this.#open.get(name ?? '')?.blob ?? fail('EBADF');
  }
}

/** Answers an operation that the trace's reference refuses by itself. */
export function fail(code: ErrorCode): never {
  throw new BlobstoreError(code, `the trace asks for what is answered with ${code} (${-ERRNO[code]})`);
}
