/** What a client of the metadata thread has open of a store, by number. */

import { BlobstoreError } from '@blobyard/core';

/** A reference to a blob. */
export interface Reference {
  /** Gives it back, or fails, and then it is there still. A second call goes on, or answers as the first. */
  close(): Promise<void>;
  /** Gives it back whatever happens: what fails is the store's to hear of. */
  drop(): Promise<void>;
}

export class OpenHandles<Handle extends Reference> {
  readonly #references = new Map<number, Handle>();
  #next = 1;

  /** Keeps a reference; answers its number. */
  add(reference: Handle): number {
    const handle = this.#next++;
    this.#references.set(handle, reference);
    return handle;
  }

  /** False for one that is closed, also by the store. */
  has(handle: number): boolean {
    return this.#references.has(handle);
  }

  /** EBADF when there is no such handle. */
  get(handle: number): Handle {
    const reference = this.#references.get(handle);
    if (reference !== undefined) return reference;
    throw new BlobstoreError('EBADF', `the metadata thread has no handle ${handle} open`);
  }

  /** Closes a handle. When that fails, it can be tried again. */
  async close(handle: number): Promise<void> {
    await this.get(handle).close();
    this.#references.delete(handle);
  }

  /** The handle has been closed already. */
  forget(handle: number): void {
    this.#references.delete(handle);
  }

  /** Closes all; each of them, whether others fail or not. Throws the first error. */
  async closeAll(): Promise<void> {
    const closed = await Promise.allSettled([...this.#references.keys()].map((handle) => this.close(handle)));
    const failed = closed.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Gives all back whatever happens. */
  async dropAll(): Promise<void> {
    for (const [handle, reference] of this.#references) {
      this.#references.delete(handle);
      await reference.drop();
    }
  }
}
