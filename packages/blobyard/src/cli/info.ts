/** `blobyard info`: properties and space of the store in an image. */

import type { BlobInfo, Damage } from '@blobyard/workers';
import type { Command } from 'commander';
import { type Image, readImage } from './image.js';
import { type OpenedStore, wasClosed, withStore } from './open-store.js';
import { endWith, print } from './output.js';
import { countText, json, printable, sizeText } from './text.js';

/** What is printed; also the JSON document. */
interface StoreFacts {
  readonly image: string;
  readonly version: number;
  readonly type: string;
  readonly wasClean: boolean;
  /** The damage of the masks of a cleanly closed store; null when there is none. */
  readonly maskDamage: string | null;
  readonly imageBytes: number;
  readonly storeBytes: number;
  readonly clusterBytes: number;
  readonly ioUnitBytes: number;
  readonly clusters: number;
  readonly metadataClusters: number;
  readonly usedClusters: number;
  readonly freeClusters: number;
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly mdPages: number;
  readonly mdPagesUsed: number;
  readonly blobs: number;
  readonly snapshots: number;
  readonly clones: number;
  readonly superBlob: bigint | null;
  readonly damaged: readonly { readonly id: bigint; readonly code: string; readonly message: string }[];
}

export function addInfo(program: Command): void {
  program
    .command('info')
    .description('Show type, version, sizes, space and blobs of a store. Nothing is written.')
    .argument('<image>', 'a file or block device with a store')
    .option('--json', 'print a JSON document')
    .addHelpText('after', '\nExample:\n  blobyard info yard.img')
    .action((path: string, { json: asJson }: { json?: boolean }) =>
      endWith(1, async () => {
        const facts = await readImage(path, (image) => withStore(image, (opened) => factsOf(image, opened)));
        print(asJson ? json(facts) : textOf(facts));
      }),
    );
}

async function factsOf(image: Image, { store, maskDamage }: OpenedStore): Promise<StoreFacts> {
  const { blobstore } = store.engine;
  const { shared, geometry, dataClusterCount, freeClusterCount } = blobstore;
  const blobs = await store.blobs();
  const metadataClusters = geometry.metadataClusterCount();
  const usedClusters = dataClusterCount - freeClusterCount;
  const { clusterBytes } = geometry;
  return {
    image: image.path,
    version: image.superBlock.version,
    type: blobstore.bstype,
    wasClean: wasClosed(image),
    maskDamage: maskDamage?.message ?? null,
    imageBytes: image.sizeBytes,
    storeBytes: (dataClusterCount + metadataClusters) * clusterBytes,
    clusterBytes,
    ioUnitBytes: geometry.ioUnitBytes,
    clusters: dataClusterCount + metadataClusters,
    metadataClusters,
    usedClusters,
    freeClusters: freeClusterCount,
    usedBytes: usedClusters * clusterBytes,
    freeBytes: freeClusterCount * clusterBytes,
    mdPages: geometry.mdPageCount,
    mdPagesUsed: shared.locked(() => shared.pages.countUsed()),
    blobs: blobs.length,
    snapshots: countWhere(blobs, ({ snapshot }) => snapshot),
    clones: countWhere(blobs, ({ clone }) => clone),
    superBlob: (await store.getSuperBlob()) ?? null,
    damaged: store.damaged.map(damageFacts),
  };
}

function countWhere(blobs: readonly BlobInfo[], wanted: (blob: BlobInfo) => boolean): number {
  return blobs.filter(wanted).length;
}

/** A damaged blob for a JSON document. */
export function damageFacts({ id, error }: Damage): { id: bigint; code: string; message: string } {
  return { id, code: error.code, message: error.message };
}

function textOf(facts: StoreFacts): string {
  const lines = [
    ['Image', facts.image],
    ['Store', `blobstore, version ${facts.version}${facts.type === '' ? '' : `, of type ${facts.type}`}`],
    ['State', stateText(facts)],
    ['Image size', exactText(facts.imageBytes)],
    ['Store size', exactText(facts.storeBytes)],
    ['Cluster size', sizeText(facts.clusterBytes)],
    ['Io unit', sizeText(facts.ioUnitBytes)],
    ['Clusters', `${facts.clusters}, of which ${facts.metadataClusters} for metadata, ${facts.usedClusters} used`],
    ['Space used', exactText(facts.usedBytes)],
    ['Space free', exactText(facts.freeBytes)],
    ['Metadata pages', `${facts.mdPages}, of which ${facts.mdPagesUsed} used`],
    ['Blobs', `${facts.blobs} (${countText(facts.snapshots, 'snapshot')}, ${countText(facts.clones, 'clone')})`],
    ['Super blob', facts.superBlob === null ? 'none' : `${facts.superBlob}`],
    ['Damaged blobs', facts.damaged.length === 0 ? 'none' : `${facts.damaged.length}`],
    ...facts.damaged.map(({ code, message }) => ['', `${code}: ${message}`]),
  ];
  return lines.map(([name, value]) => `${(name && `${name}:`).padEnd(16)}${printable(value)}\n`).join('');
}

function stateText({ wasClean, maskDamage }: StoreFacts): string {
  if (!wasClean) return 'not closed; opening it runs recovery, which finds what is shown here';
  if (maskDamage === null) return 'closed cleanly';
  return `closed, but its masks are damaged (${maskDamage}); what is shown here was found without them`;
}

function exactText(bytes: number): string {
  return bytes < 1024 ? sizeText(bytes) : `${sizeText(bytes)} (${bytes} bytes)`;
}
