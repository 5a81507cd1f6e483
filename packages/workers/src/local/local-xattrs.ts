/** The xattrs of blobs that are open in this thread's engine. */

import { BlobstoreError, type Blob as EngineBlob } from '@blobyard/core';
import { NAME_XATTR } from '../checks/xattr-values.js';
import type { XattrChanges } from '../ports/metadata-port.js';
import { type StoreContext, superBlobOf } from './store-context.js';

/** The value of an xattr; undefined when there is no such xattr. */
export function xattrOf({ blobstore }: StoreContext, blob: EngineBlob, name: string): Uint8Array | undefined {
  try {
    return blobstore.getXattr(blob, name);
  } catch (error) {
    if (error instanceof BlobstoreError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Changes xattrs in memory and on disk. An old name is released only when the new one is on disk; otherwise two blobs
 * could have the same name after a crash. Returns false if there was nothing to change.
 */
export async function changeXattrs(context: StoreContext, blob: EngineBlob, given: XattrChanges): Promise<boolean> {
  const { blobstore, catalogue, naming, turns } = context;
  const { id } = blob;
  const isSuper = superBlobOf(blobstore) === id;
  const changes = new Map([...given].map(([key, value]) => [key, naming.forChange(key, value, isSuper)]));
  const renames = changes.has(NAME_XATTR);
  const nameBytes = changes.get(NAME_XATTR);
  const name = nameBytes === undefined ? undefined : naming.nameIn(nameBytes);
  return turns.withState([id], () =>
    catalogue.promising(name, id, async () => {
      const before = new Map([...changes.keys()].map((key) => [key, xattrOf(context, blob, key)]));
      if ([...changes].every(([key, value]) => value === undefined && before.get(key) === undefined)) return false;
      await write(context, blob, changes, before);
      if (renames) catalogue.add(id, name);
      return true;
    }),
  );
}

type Values = ReadonlyMap<string, Uint8Array | undefined>;

async function write(context: StoreContext, blob: EngineBlob, changes: Values, before: Values): Promise<void> {
  if (blob.isReadOnly) {
    throw new BlobstoreError('EPERM', `blob ${blob.id} is read-only: its xattrs stay as they are`);
  }
  try {
    apply(context, blob, changes);
    await context.run(context.blobstore.syncBlob(blob));
  } catch (error) {
    apply(context, blob, before);
    throw error;
  }
}

function apply(context: StoreContext, blob: EngineBlob, values: Values): void {
  const { blobstore } = context;
  for (const [name, value] of values) {
    if (value !== undefined) blobstore.setXattr(blob, name, value);
    else if (xattrOf(context, blob, name) !== undefined) blobstore.removeXattr(blob, name);
  }
}
