/** The names that a trace gives to its blobs, and the blobs that it has open. */

import { type Blob, BlobstoreError, ERRNO, type ErrorCode, pageOfBlobId } from '@blobyard/core';

/** A blob that the trace has open. `refs`: how often it was opened and not closed again. */
interface OpenBlob {
  readonly blob: Blob;
  refs: number;
}

export class BlobNames {
  readonly #ids = new Map<string, bigint>();
  readonly #open = new Map<string, OpenBlob>();

  /** Records the name of a new blob. */
  add(name: string | undefined, id: bigint): void {
    this.#ids.set(name ?? '', id);
  }

  /** Forgets a blob that was deleted. */
  remove(name: string): void {
    this.#ids.delete(name);
  }

  /** Forgets all names, because there is a new store without blobs. */
  clear(): void {
    this.#ids.clear();
  }

  /** The name of a blob; for a blob that the trace did not name, `?` and the number of its root page. */
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

  /** Records that the blob was opened once more. */
  opened(name: string | undefined, blob: Blob): void {
    const open = this.#open.get(name ?? '');
    if (open) open.refs++;
    else this.#open.set(name ?? '', { blob, refs: 1 });
  }

  /** Records that the blob was closed once. */
  closed(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    open.refs--;
    if (open.refs === 0) this.#open.delete(name);
  }

  /** Forgets the open blobs, because the store was abandoned. */
  forgetOpen(): void {
    this.#open.clear();
  }

  requireOpen(name: string | undefined): Blob {
    return this.#open.get(name ?? '')?.blob ?? fail('EBADF');
  }
}

/** Throws the error of an operation that the trace's reference runner itself refuses, without asking the engine. */
export function fail(code: ErrorCode): never {
  throw new BlobstoreError(code, `the reference runner refuses this operation of the trace: ${code} (${-ERRNO[code]})`);
}
