/** The xattrs of a blob that this thread's engine has open. */

import { BlobstoreError, type Blob as EngineBlob } from '@blobyard/core';
import type { Xattrs, XattrValues } from '../api/blob.js';
import { checkXattrName, checkXattrs, checkXattrValue, NAME_XATTR, type XattrValue } from '../checks/xattr-values.js';
import type { InFlight } from '../data/in-flight.js';
import { type StoreContext, superBlobOf } from './store-context.js';

export class InlineXattrs implements Xattrs {
  readonly #context: StoreContext;
  readonly #blob: EngineBlob;
  readonly #inFlight: InFlight;

  constructor(context: StoreContext, blob: EngineBlob, inFlight: InFlight) {
    this.#context = context;
    this.#blob = blob;
    this.#inFlight = inFlight;
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#inFlight.run('read an xattr', async () => this.#value(checkXattrName(name)));
  }

  async getText(name: string): Promise<string | undefined> {
    const value = await this.get(name);
    return value === undefined ? undefined : this.#context.naming.textIn(name, value);
  }

  set(name: string, value: string | Uint8Array): Promise<void> {
    return this.#inFlight.run(`set an xattr of blob ${this.#blob.id}`, async () => {
      const checked = checkXattrName(name);
      await this.#change(new Map([[checked, checkXattrValue(checked, value)]]));
    });
  }

  setAll(values: XattrValues): Promise<void> {
    return this.#inFlight.run(`set xattrs of blob ${this.#blob.id}`, async () => {
      const checked = Object.entries(checkXattrs(values));
      if (checked.length > 0) await this.#change(new Map(checked));
    });
  }

  delete(name: string): Promise<boolean> {
    return this.#inFlight.run(`delete an xattr of blob ${this.#blob.id}`, async () => {
      const checked = checkXattrName(name);
      return this.#change(new Map([[checked, undefined]]));
    });
  }

  list(): Promise<string[]> {
    return this.#inFlight.run('list xattrs', async () => this.#context.blobstore.xattrNames(this.#blob));
  }

  /**
   * Sets xattrs (undefined: removes them) in memory and on disk. An old name is given free only when the disk has the new one:
   * after a crash two blobs could have it otherwise. Answers whether there was anything to do.
   */
  async #change(given: ReadonlyMap<string, XattrValue | undefined>): Promise<boolean> {
    const { blobstore, catalogue, naming, turns } = this.#context;
    const { id } = this.#blob;
    const isSuper = superBlobOf(blobstore) === id;
    const changes = new Map([...given].map(([key, value]) => [key, naming.forChange(key, value, isSuper)]));
    const renames = changes.has(NAME_XATTR);
    const nameBytes = changes.get(NAME_XATTR);
    const name = nameBytes === undefined ? undefined : naming.nameIn(nameBytes);
    return turns.withState([id], () =>
      catalogue.promising(name, id, async () => {
        const before = new Map([...changes.keys()].map((key) => [key, this.#value(key)]));
        if ([...changes].every(([key, value]) => value === undefined && before.get(key) === undefined)) return false;
        await this.#write(changes, before);
        if (renames) catalogue.add(id, name);
        return true;
      }),
    );
  }

  async #write(
    changes: ReadonlyMap<string, Uint8Array | undefined>,
    before: ReadonlyMap<string, Uint8Array | undefined>,
  ): Promise<void> {
    const { blobstore } = this.#context;
    if (this.#blob.isReadOnly) {
      throw new BlobstoreError('EPERM', `blob ${this.#blob.id} is read-only: its xattrs stay as they are`);
    }
    try {
      this.#apply(changes);
      await this.#context.run(blobstore.syncBlob(this.#blob));
    } catch (error) {
      this.#apply(before);
      throw error;
    }
  }

  #apply(values: ReadonlyMap<string, Uint8Array | undefined>): void {
    const { blobstore } = this.#context;
    for (const [name, value] of values) {
      if (value !== undefined) blobstore.setXattr(this.#blob, name, value);
      else if (this.#value(name) !== undefined) blobstore.removeXattr(this.#blob, name);
    }
  }

  #value(name: string): Uint8Array | undefined {
    try {
      return this.#context.blobstore.getXattr(this.#blob, name);
    } catch (error) {
      if (error instanceof BlobstoreError && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }
}
