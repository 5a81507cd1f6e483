/** The xattrs of a blob whose metadata is on another thread. */

import type { Xattrs, XattrValues } from '../api/blob.js';
import { checkXattrName, checkXattrs, checkXattrValue } from '../checks/xattr-values.js';
import type { InFlight } from '../data/in-flight.js';
import type { BlobCommons } from './pooled-context.js';
import type { ServiceClient } from './service-client.js';

export class PooledXattrs implements Xattrs {
  readonly #metadata: ServiceClient;
  readonly #handle: number;
  readonly #commons: BlobCommons;
  readonly #inFlight: InFlight;

  constructor(metadata: ServiceClient, handle: number, commons: BlobCommons, inFlight: InFlight) {
    this.#metadata = metadata;
    this.#handle = handle;
    this.#commons = commons;
    this.#inFlight = inFlight;
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#inFlight.run('read an xattr', async () => {
      return this.#metadata.call('getXattr', this.#handle, checkXattrName(name));
    });
  }

  getText(name: string): Promise<string | undefined> {
    return this.#inFlight.run('read an xattr', async () => {
      return this.#metadata.call('getXattrText', this.#handle, checkXattrName(name));
    });
  }

  set(name: string, value: string | Uint8Array): Promise<void> {
    return this.#inFlight.run('set an xattr', async () => {
      const checked = checkXattrName(name);
      await this.#set({ [checked]: checkXattrValue(checked, value) });
    });
  }

  setAll(values: XattrValues): Promise<void> {
    return this.#inFlight.run('set xattrs', async () => this.#set(checkXattrs(values)));
  }

  delete(name: string): Promise<boolean> {
    return this.#inFlight.run('delete an xattr', async () => {
      const after = await this.#metadata.call('deleteXattr', this.#handle, checkXattrName(name));
      this.#commons.name = after.name;
      return after.wasThere;
    });
  }

  list(): Promise<string[]> {
    return this.#inFlight.run('list xattrs', () => this.#metadata.call('listXattrs', this.#handle));
  }

  async #set(values: XattrValues): Promise<void> {
    this.#commons.name = await this.#metadata.call('setXattrs', this.#handle, values);
  }
}
