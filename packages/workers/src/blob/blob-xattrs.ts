/** The xattrs of an open blob. */

import type { Xattrs, XattrValues } from '../api/blob.js';
import { checkXattrName, checkXattrs, checkXattrValue } from '../checks/xattr-values.js';
import type { InFlight } from '../data/in-flight.js';
import type { MetadataPort, OpenedBlob, XattrChanges } from '../ports/metadata-port.js';
import type { BlobCommons, BlobContext } from './blob-context.js';

export class BlobXattrs implements Xattrs {
  readonly #metadata: MetadataPort;
  readonly #id: bigint;
  readonly #handle: number;
  readonly #commons: BlobCommons;
  readonly #inFlight: InFlight;

  constructor(
    context: BlobContext,
    commons: BlobCommons,
    opened: Pick<OpenedBlob, 'id' | 'handle'>,
    inFlight: InFlight,
  ) {
    this.#metadata = context.parts.metadata;
    this.#id = opened.id;
    this.#handle = opened.handle;
    this.#commons = commons;
    this.#inFlight = inFlight;
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#inFlight.run('read an xattr', async () => {
      return this.#metadata.getXattr(this.#handle, checkXattrName(name));
    });
  }

  getText(name: string): Promise<string | undefined> {
    return this.#inFlight.run('read an xattr', async () => {
      return this.#metadata.getXattrText(this.#handle, checkXattrName(name));
    });
  }

  set(name: string, value: string | Uint8Array): Promise<void> {
    return this.#inFlight.run(`set an xattr of blob ${this.#id}`, async () => {
      const checked = checkXattrName(name);
      await this.#change(new Map([[checked, checkXattrValue(checked, value)]]));
    });
  }

  setAll(values: XattrValues): Promise<void> {
    return this.#inFlight.run(`set xattrs of blob ${this.#id}`, async () => {
      const checked = Object.entries(checkXattrs(values));
      if (checked.length > 0) await this.#change(new Map(checked));
    });
  }

  delete(name: string): Promise<boolean> {
    return this.#inFlight.run(`delete an xattr of blob ${this.#id}`, async () => {
      return this.#change(new Map([[checkXattrName(name), undefined]]));
    });
  }

  list(): Promise<string[]> {
    return this.#inFlight.run('list xattrs', () => this.#metadata.listXattrs(this.#handle));
  }

  async #change(changes: XattrChanges): Promise<boolean> {
    const { isChanged, name } = await this.#metadata.changeXattrs(this.#handle, changes);
    this.#commons.name = name;
    return isChanged;
  }
}
