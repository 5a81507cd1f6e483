/** Draws the device: each character stands for one or several clusters, and shows which blob owns them. */

import type { Blob, Store } from '@blobyard/workers';
import { coloured, say } from './narrator.js';

const COLUMNS = 64;
const ROWS_MAX = 12;
const METADATA = 'M';
const FREE = '·';
const GREY = 90;

/** A blob in the drawing, shown as the first letter of its name. */
interface Owner {
  readonly letter: string;
  readonly label: string;
  readonly colour: number;
}

const COLOURS = [32, 36, 35, 33, 34, 31];

/** Draws which blob owns which clusters. On a large device, one character stands for several clusters. */
export async function drawClusters(store: Store): Promise<void> {
  const { blobstore } = store.engine;
  const clusterCount = blobstore.shared.clusters.capacity;
  const owners: (Owner | undefined)[] = new Array<Owner | undefined>(clusterCount);
  const legend = [`${METADATA} metadata`, `${FREE} free`];
  const infos = await store.blobs();
  for (const [index, info] of infos.entries()) {
    const label = info.name ?? `blob ${info.id}`;
    const owner = { letter: label[0].toUpperCase(), label, colour: COLOURS[index % COLOURS.length] };
    const blob = await store.open(info.id);
    for (const cluster of clustersOf(blob)) owners[cluster] = owner;
    await blob.close();
    legend.push(coloured(`${owner.letter} ${label}`, owner.colour));
  }
  const metadataCount = blobstore.geometry.metadataClusterCount();
  const each = Math.ceil(clusterCount / (COLUMNS * ROWS_MAX));
  let row = '';
  for (let first = 0; first < clusterCount; first += each) {
    row += first < metadataCount ? coloured(METADATA, GREY) : character(owners.slice(first, first + each));
    const isRowEnd = (first / each + 1) % COLUMNS === 0 || first + each >= clusterCount;
    if (isRowEnd) say(row);
    if (isRowEnd) row = '';
  }
  const scale = each === 1 ? 'one cluster a character' : `${each} clusters a character`;
  say(`${legend.join('   ')}   (${scale})`);
}

/** Yields the clusters of the device that a blob owns itself, without those of its snapshot. */
function* clustersOf(blob: Blob): Generator<number> {
  const { engine } = blob;
  for (let index = 0; index < engine.clusterCount; index++) {
    const cluster: number = engine.clusterAt(index);
    if (cluster !== 0) yield cluster;
  }
}

function character(owners: readonly (Owner | undefined)[]): string {
  const owner = owners.find((each) => each !== undefined);
  return owner === undefined ? coloured(FREE, GREY) : coloured(owner.letter, owner.colour);
}
