/** `blobyard ls`: the blobs of a store. */

import type { BlobInfo, Damage } from '@blobyard/workers';
import type { Command } from 'commander';
import { treeLines } from './blob-tree.js';
import { readImage } from './image.js';
import { damageFacts } from './info.js';
import { withStore } from './open-store.js';
import { endWith, note, print } from './output.js';
import { json, printable, sizeText, table } from './text.js';

interface Listing {
  readonly blobs: readonly BlobInfo[];
  readonly damaged: readonly Damage[];
}

export function addLs(program: Command): void {
  program
    .command('ls')
    .description('List the blobs of a store, clones below their snapshots. Nothing is written.')
    .argument('<image>', 'a file or block device with a store')
    .option('-l, --long', 'print all properties of each blob, in the order of ids')
    .option('--json', 'print a JSON document')
    .addHelpText('after', '\nExample:\n  blobyard ls --long yard.img')
    .action((path: string, { json: asJson, long }: { json?: boolean; long?: boolean }) =>
      endWith(1, async () => {
        const listing = await readImage(path, (image) => withStore(image, ({ store }) => listingOf(store)));
        if (asJson) return print(json(jsonOf(listing)));
        print(long ? longText(listing.blobs) : treeText(listing.blobs));
        for (const { id, error } of listing.damaged) note(`blob ${id} is left out: ${error.code}: ${error.message}`);
      }),
    );
}

async function listingOf(store: { blobs(): Promise<BlobInfo[]>; damaged: readonly Damage[] }): Promise<Listing> {
  return { blobs: await store.blobs(), damaged: store.damaged };
}

function treeText(blobs: readonly BlobInfo[]): string {
  const rows = treeLines(blobs).map(({ blob, branch }) => {
    return [`${blob.id}`, sizeText(blob.sizeBytes), sizeText(blob.allocatedBytes), branch + nameText(blob)];
  });
  return table(['ID', 'SIZE', 'ALLOCATED', 'NAME'], rows);
}

function longText(blobs: readonly BlobInfo[]): string {
  const head = ['ID', 'SIZE', 'ALLOCATED', 'SPACE', 'ACCESS', 'KIND', 'CLONE OF', 'NAME'];
  const rows = blobs.map((blob) => [
    `${blob.id}`,
    sizeText(blob.sizeBytes),
    sizeText(blob.allocatedBytes),
    blob.thin ? 'thin' : 'thick',
    blob.readOnly ? 'read-only' : 'read-write',
    kindText(blob),
    originText(blob),
    nameText(blob),
  ]);
  return table(head, rows);
}

function nameText({ name }: BlobInfo): string {
  return name === undefined ? '-' : printable(name);
}

function kindText({ snapshot, clone }: BlobInfo): string {
  const kinds = [snapshot ? 'snapshot' : [], clone ? 'clone' : []].flat();
  return kinds.length === 0 ? 'blob' : kinds.join(', ');
}

function originText({ parentId, externalSnapshotId }: BlobInfo): string {
  if (externalSnapshotId !== undefined) return `external ${printable(Buffer.from(externalSnapshotId).toString())}`;
  return parentId === undefined ? '-' : `${parentId}`;
}

function jsonOf({ blobs, damaged }: Listing): unknown {
  return {
    blobs,
    damaged: damaged.map(damageFacts),
  };
}
