/** Creates snapshots of several blobs, all of one moment. */

import type { DerivedXattrs } from '../checks/xattr-values.js';
import type { NewXattrs } from './blob-naming.js';
import { LocalBlob, notInherited } from './local-blob.js';
import { parentOf, type StoreContext } from './store-context.js';

/**
 * Creates a snapshot of each blob, adds them to the catalogue, and opens them.
 * @param blobs - open, each blob once
 * @param given - the name and xattrs of each snapshot
 * @throws as `Store.snapshot`
 */
export async function snapshotAll(
  context: StoreContext,
  blobs: readonly LocalBlob[],
  given: readonly DerivedXattrs[],
): Promise<LocalBlob[]> {
  const { catalogue, naming, turns } = context;
  const xattrs = given.map((each) => naming.forNew(each));
  const ids = blobs.map(({ id }) => id);
  const make = () => turns.withAll(ids, () => makeAndOpen(context, blobs, given, xattrs));
  // Each name is reserved around the operation.
  const reserving = xattrs.reduceRight(
    (next, { name }) =>
      () =>
        catalogue.promising(name, undefined, next),
    make,
  );
  return reserving();
}

async function makeAndOpen(
  context: StoreContext,
  blobs: readonly LocalBlob[],
  given: readonly DerivedXattrs[],
  xattrs: readonly NewXattrs[],
): Promise<LocalBlob[]> {
  const { blobstore, catalogue } = context;
  const asked = blobs.map(({ id }, at) => {
    return { id, xattrs: xattrs[at].values, inheritsAllBut: notInherited(given[at]) };
  });
  try {
    await context.run(blobstore.createSnapshots(asked));
  } finally {
    // Also those that were made before an error, and could not be deleted.
    for (const [at, { engine }] of blobs.entries()) {
      const made = parentOf(engine);
      if (made !== undefined && !catalogue.has(made)) catalogue.add(made, xattrs[at].name);
    }
  }
  const opened: LocalBlob[] = [];
  try {
    for (const { engine } of blobs) {
      const made = parentOf(engine);
      if (made !== undefined) opened.push(new LocalBlob(context, await context.run(blobstore.openBlob(made))));
    }
    return opened;
  } catch (error) {
    for (const blob of opened) await blob.drop();
    throw error;
  }
}
