/** The open handles of one client of the metadata thread, by number. */

import { BlobstoreError } from '@blobyard/core';

/** A reference to a blob. */
export interface Reference {
  /** Releases it. If that fails it stays open, and a later call tries again. */
  close(): Promise<void>;
  /** Releases it, and never fails: what cannot be written stays dirty in the store. */
  drop(): Promise<void>;
}

/** Numbers start at 1, and are not used again. */
export class OpenHandles<Handle extends Reference> {
  readonly #references = new Map<number, Handle>();
  #next = 1;

  /** Keeps a reference, and returns its number. */
  add(reference: Handle): number {
    const handle = this.#next++;
    this.#references.set(handle, reference);
    return handle;
  }

  /** False for a handle that has been closed, by the client or by the store. */
  has(handle: number): boolean {
    return this.#references.has(handle);
  }

  /** Returns the reference of a handle. Throws EBADF if there is no such handle. */
  get(handle: number): Handle {
    const reference = this.#references.get(handle);
    if (reference !== undefined) return reference;
    throw new BlobstoreError('EBADF', `handle ${handle} is not open on the metadata thread: open the blob again`);
  }

  /** Closes a handle. When that fails, it stays open and can be closed again. */
  async close(handle: number): Promise<void> {
    await this.get(handle).close();
    this.#references.delete(handle);
  }

  /** Forgets a handle that has been closed already. */
  forget(handle: number): void {
    this.#references.delete(handle);
  }

  /** Closes all handles, even if some fail. Throws the first error. */
  async closeAll(): Promise<void> {
    const closed = await Promise.allSettled([...this.#references.keys()].map((handle) => this.close(handle)));
    const failed = closed.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Releases all handles. Never fails. */
  async dropAll(): Promise<void> {
    for (const [handle, reference] of this.#references) {
      this.#references.delete(handle);
      await reference.drop();
    }
  }
}
