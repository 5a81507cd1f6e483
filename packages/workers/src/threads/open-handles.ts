/** What somebody on another thread has open of a store, by number; and by place in shared memory, which handles of one blob share. */

import { BlobstoreError } from '@blobyard/core';

/** A reference to a blob. */
export interface Reference {
  /** Gives it back, or fails, and then it is there still. A second call goes on, or answers as the first. */
  close(): Promise<void>;
  /** Gives it back whatever happens: what fails is the store's to hear of. */
  drop(): Promise<void>;
  flush(): Promise<void>;
}

interface Entry<Handle> {
  readonly reference: Handle;
  readonly slot: number;
  readonly generation: number;
  state: 'open' | 'closing' | 'failed';
}

export class OpenHandles<Handle extends Reference> {
  readonly #entries = new Map<number, Entry<Handle>>();
  #next = 1;

  /** Keeps a reference; answers its number. */
  add(reference: Handle, slot: number, generation: number): number {
    const handle = this.#next++;
    this.#entries.set(handle, { reference, slot, generation, state: 'open' });
    return handle;
  }

  /** EBADF when there is no such handle. */
  get(handle: number): Handle {
    return this.#entry(handle).reference;
  }

  /** Closes a handle. When that fails, it can be tried again. */
  async close(handle: number): Promise<void> {
    const entry = this.#entry(handle);
    entry.state = 'closing';
    try {
      await entry.reference.close();
    } catch (error) {
      entry.state = 'failed';
      throw error;
    }
    this.#entries.delete(handle);
  }

  /** Closes one handle of a blob, first one that has failed to; none when the store has closed them. */
  async closeAt(slot: number, generation: number): Promise<void> {
    const handle = this.#find(slot, generation, 'failed') ?? this.#find(slot, generation, 'open');
    if (handle !== undefined) await this.close(handle);
  }

  /** Flushes a blob. EBADF when no handle of it is open. */
  async flushAt(slot: number, generation: number): Promise<void> {
    const handle = this.#find(slot, generation, 'open');
    if (handle === undefined) throw new BlobstoreError('EBADF', 'the blob was closed meanwhile');
    await this.get(handle).flush();
  }

  /** Closes all; each of them, whether others fail or not. Throws the first error. */
  async closeAll(): Promise<void> {
    const closed = await Promise.allSettled([...this.#entries.keys()].map((handle) => this.close(handle)));
    const failed = closed.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Gives all back whatever happens. */
  async dropAll(): Promise<void> {
    for (const [handle, { reference }] of this.#entries) {
      this.#entries.delete(handle);
      await reference.drop();
    }
  }

  #entry(handle: number): Entry<Handle> {
    const entry = this.#entries.get(handle);
    if (entry !== undefined) return entry;
    throw new BlobstoreError('EBADF', `the metadata thread has no handle ${handle} open`);
  }

  #find(slot: number, generation: number, state: Entry<Handle>['state']): number | undefined {
    for (const [handle, entry] of this.#entries) {
      if (entry.slot === slot && entry.generation === generation && entry.state === state) return handle;
    }
    return undefined;
  }
}
