/** The xattrs of an open blob. */

import type { AbortableOptions } from '../api/abort.js';
import type { Xattrs, XattrValues } from '../api/blob.js';
import { checkAbortable } from '../checks/checks.js';
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

  get(name: string, options?: AbortableOptions): Promise<Uint8Array | undefined> {
    return this.#inFlight.run('read an xattr', async () => {
      checkAbortable('get', options);
      return this.#metadata.getXattr(this.#handle, checkXattrName(name));
    });
  }

  getText(name: string, options?: AbortableOptions): Promise<string | undefined> {
    return this.#inFlight.run('read an xattr', async () => {
      checkAbortable('getText', options);
      return this.#metadata.getXattrText(this.#handle, checkXattrName(name));
    });
  }

  set(name: string, value: string | Uint8Array, options?: AbortableOptions): Promise<void> {
    return this.#inFlight.run(`set an xattr of blob ${this.#id}`, async () => {
      checkAbortable('set', options);
      const checked = checkXattrName(name);
      await this.#change(new Map([[checked, checkXattrValue(checked, value)]]));
    });
  }

  setAll(values: XattrValues, options?: AbortableOptions): Promise<void> {
    return this.#inFlight.run(`set xattrs of blob ${this.#id}`, async () => {
      checkAbortable('setAll', options);
      const checked = Object.entries(checkXattrs(values));
      if (checked.length > 0) await this.#change(new Map(checked));
    });
  }

  delete(name: string, options?: AbortableOptions): Promise<boolean> {
    return this.#inFlight.run(`delete an xattr of blob ${this.#id}`, async () => {
      checkAbortable('delete', options);
      return this.#change(new Map([[checkXattrName(name), undefined]]));
    });
  }

  list(options?: AbortableOptions): Promise<string[]> {
    return this.#inFlight.run('list xattrs', async () => {
      checkAbortable('list', options);
      return this.#metadata.listXattrs(this.#handle);
    });
  }

  async #change(changes: XattrChanges): Promise<boolean> {
    const { isChanged, name } = await this.#metadata.changeXattrs(this.#handle, changes);
    this.#commons.name = name;
    return isChanged;
  }
}
