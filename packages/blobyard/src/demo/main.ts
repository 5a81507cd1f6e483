/**
 * The demo: a store in a file, from its creation to recovery after a killed process, with all contents verified by
 * hash.
 */

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Blob, createStore, openStore, type Store } from '@blobyard/workers';
import { type ArchivedFile, differingFiles, layOut, sha256, writeFiles } from './archive.js';
import { drawClusters } from './cluster-map.js';
import { crashWriter } from './crash.js';
import { hasRecord, LEDGER, RECORD_BYTES } from './ledger.js';
import { bytesText, chapter, milliseconds, say, timed, verify } from './narrator.js';
import { readSourceTree, type SourceFile } from './source-tree.js';

const CLUSTER_BYTES = 64 << 10;
const STORE_BYTES_MIN = 48 << 20;
/** Bytes of each write around the snapshot; an odd number, so that writes cross io units and clusters. */
const MARK_BYTES = 3001;
const MARKS = 400;

/** The data that all chapters share. */
interface Scene {
  readonly storePath: string;
  readonly files: readonly SourceFile[];
  /** What each blob must hold, by its name. */
  readonly expected: Map<string, readonly ArchivedFile[]>;
}

async function main(folder: string): Promise<void> {
  const files = await readSourceTree();
  const scene: Scene = { storePath: path.join(folder, 'yard.img'), files, expected: new Map() };
  const store = await makeStore(scene);
  const { freeBytes } = await store.stats();
  const tree = await importTree(scene, store);
  const { snapshot, marks } = await snapshotWhileWriting(scene, tree);
  await diverge(scene, store, tree, snapshot);
  await deleteSnapshot(store, tree, snapshot, marks, freeBytes);
  await closeAndReopen(scene, store);
  await crash(scene);
}

async function makeStore({ storePath, files }: Scene): Promise<Store> {
  chapter('A store in one file');
  const treeBytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  const sizeBytes = Math.max(STORE_BYTES_MIN, Math.ceil((treeBytes * 5) / CLUSTER_BYTES) * CLUSTER_BYTES);
  return timed(
    () =>
      createStore({
        // Asynchronous, so that writes can be in flight while the snapshot is made.
        device: { kind: 'file', path: storePath, create: true, sizeBytes, mode: 'async' },
        clusterSizeBytes: CLUSTER_BYTES,
        bstype: 'DEMO',
      }),
    () => `A new file of ${bytesText(sizeBytes)} is now a store with clusters of ${bytesText(CLUSTER_BYTES)}.`,
  );
}

async function importTree(scene: Scene, store: Store): Promise<Blob> {
  chapter('A file tree in a thin blob');
  const index = layOut(scene.files);
  const total = index.reduce((sum, file) => sum + file.length, 0);
  const blob = await store.create({ sizeBytes: total + MARKS * MARK_BYTES, thin: true, name: 'tree' });
  await timed(
    () => writeFiles(blob, scene.files, index),
    () => `${index.length} files of this repository, ${bytesText(total)}, are written, with 32 writes in flight.`,
  );
  scene.expected.set('tree', index);
  await verifyFiles(blob, index);
  await timed(
    () => blob.flush(),
    () => 'Flushed: now the files would survive a power cut.',
  );
  await drawClusters(store);
  return blob;
}

/**
 * Writes marks (short runs of equal bytes) after the files, and makes a snapshot while half of these writes are
 * complete and the rest are in flight.
 */
async function snapshotWhileWriting(scene: Scene, tree: Blob): Promise<{ snapshot: Blob; marks: string }> {
  chapter('A snapshot while writes are in flight');
  const start = tree.sizeBytes - MARKS * MARK_BYTES;
  const mark = (number: number) => new Uint8Array(MARK_BYTES).fill(1 + (number % 255));
  const write = (number: number) => tree.write(mark(number), start + number * MARK_BYTES);
  const answered = MARKS / 2;
  await Promise.all(Array.from({ length: answered }, (_, number) => write(number)));
  const underWay = Array.from({ length: MARKS - answered }, (_, number) => write(answered + number));
  const snapshot = await timed(
    () => tree.snapshot({ name: 'snapshot' }),
    () => `A snapshot was made, with ${answered} writes complete and ${underWay.length} in flight.`,
  );
  const marks = sha256(await snapshot.read(start, MARKS * MARK_BYTES));
  await Promise.all(underWay);
  let inTime = 0;
  for (let number = 0; number < MARKS; number++) {
    const offset = start + number * MARK_BYTES;
    const isThere = Buffer.compare(await tree.read(offset, MARK_BYTES), mark(number)) === 0;
    verify(isThere, `write ${number} is in the blob`);
    const isInSnapshot = Buffer.compare(await snapshot.read(offset, MARK_BYTES), mark(number)) === 0;
    verify(isInSnapshot || number >= answered, `write ${number}, complete before, is in the snapshot`);
    if (isInSnapshot && number >= answered) inTime++;
  }
  say(`All ${MARKS} writes are in the blob, and the ${answered} that were complete before are in the snapshot.`);
  say(`Of those in flight, ${inTime} are in the snapshot too.`);
  const files = scene.expected.get('tree') ?? [];
  await verifyFiles(snapshot, files);
  scene.expected.set('snapshot', files);
  return { snapshot, marks };
}

/** Changes the first third of the files in the original, and the last third in a clone of the snapshot. */
async function diverge(scene: Scene, store: Store, tree: Blob, snapshot: Blob): Promise<void> {
  chapter('A clone that differs from its original');
  const clone = await timed(
    () => snapshot.clone({ name: 'clone' }),
    () => 'A clone of the snapshot is writable. It shares all clusters that were not written since.',
  );
  for (const [blob, name, third] of [
    [tree, 'tree', 'first'],
    [clone, 'clone', 'last'],
  ] as const) {
    const index = await timed(
      () => changeFiles(scene, blob, third),
      (changed) =>
        `The ${third} third of the files is changed in '${name}', which now has ${bytesText(changed.ownBytes)} of its own.`,
    );
    scene.expected.set(name, index.files);
  }
  for (const blob of [tree, clone, snapshot]) await verifyFiles(blob, scene.expected.get(blob.name ?? '') ?? []);
  await clone.close();
  await drawClusters(store);
}

async function changeFiles(scene: Scene, blob: Blob, third: 'first' | 'last') {
  const original = scene.expected.get('snapshot') ?? [];
  const files = original.map((file, at) => {
    const isInThird = third === 'first' ? at < original.length / 3 : at >= (original.length * 2) / 3;
    if (!isInThird) return { file, bytes: undefined };
    const bytes = scene.files[at].bytes.map((byte) => byte ^ 0x5a);
    return { file: { ...file, sha256: sha256(bytes) }, bytes };
  });
  await Promise.all(files.map(({ file, bytes }) => (bytes ? blob.write(bytes, file.offset) : undefined)));
  return { files: files.map(({ file }) => file), ownBytes: (await blob.info()).allocatedBytes };
}

async function deleteSnapshot(
  store: Store,
  tree: Blob,
  snapshot: Blob,
  marks: string,
  freeAtFirst: number,
): Promise<void> {
  chapter('Deleting the snapshot');
  const now = sha256(await snapshot.read(tree.sizeBytes - MARKS * MARK_BYTES, MARKS * MARK_BYTES));
  verify(now === marks, 'the snapshot is as it was when it was made');
  await snapshot.close();
  const clone = await store.open({ name: 'clone' });
  let steps = 0;
  await timed(
    () => clone.decouple({ onProgress: () => steps++ }),
    () => `The clone is decoupled, in ${steps} steps: it has its own copies of all that it shared with the snapshot.`,
  );
  await clone.close();
  const before = (await store.stats()).freeBytes;
  await timed(
    () => store.delete(snapshot.id),
    () => 'The snapshot is deleted, and its clusters belong to the blob again.',
  );
  await tree.close();
  const after = (await store.stats()).freeBytes;
  say(`Free space: ${bytesText(freeAtFirst)} at first, ${bytesText(before)} before, ${bytesText(after)} after.`);
  await drawClusters(store);
}

async function closeAndReopen(scene: Scene, store: Store): Promise<void> {
  chapter('Closing and opening again');
  scene.expected.delete('snapshot');
  await store.create({ name: LEDGER, sizeBytes: CLUSTER_BYTES, thin: true });
  await timed(
    () => store.close(),
    () => 'The store is closed: first all handles, then the super block is marked clean.',
  );
  const again = await timed(
    () => openAgain(scene),
    () => 'It is opened again.',
  );
  await verifyAll(scene, again);
  await again.close();
}

async function crash(scene: Scene): Promise<void> {
  chapter('A crash');
  const start = performance.now();
  const durable = await crashWriter(scene.storePath);
  const took = milliseconds(performance.now() - start);
  say(`Another process wrote records of ${RECORD_BYTES} bytes, reported ${durable} as durable, and was killed`);
  say(`(SIGKILL, ${took} after its start) while it was still writing.`);
  const store = await timed(
    () => openAgain(scene),
    () => 'Opening the store recovers it from the blobs’ own metadata.',
  );
  const ledger = await store.open({ name: LEDGER });
  await timed(
    async () => {
      for (let number = 0; number < durable; number++)
        verify(await hasRecord(ledger, number), `record ${number} is there`);
    },
    () => `All ${durable} durable records are there, byte by byte.`,
  );
  let more = 0;
  while ((durable + more + 1) * RECORD_BYTES <= ledger.sizeBytes && (await hasRecord(ledger, durable + more))) more++;
  say(`Of the records that it was still writing, ${more} are there too.`);
  await verifyAll(scene, store);
  await drawClusters(store);
  const { freeBytes, totalBytes } = await store.stats();
  say(`Free space: ${bytesText(freeBytes)} of ${bytesText(totalBytes)}.`);
  await store.close();
}

function openAgain({ storePath }: Scene): Promise<Store> {
  return openStore({ device: { kind: 'file', path: storePath }, bstype: 'DEMO' });
}

async function verifyAll(scene: Scene, store: Store): Promise<void> {
  for (const [name, index] of scene.expected) {
    await using blob = await store.open({ name });
    await verifyFiles(blob, index);
  }
}

async function verifyFiles(blob: Blob, index: readonly ArchivedFile[]): Promise<void> {
  await timed(
    async () => {
      const differing = await differingFiles(blob, index);
      verify(differing.length === 0, `'${blob.name}' has ${differing.slice(0, 3).join(', ')} as expected`);
    },
    () => `'${blob.name}' read back by streams: all ${index.length} files have the right SHA-256.`,
  );
}

const start = performance.now();
const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-demo-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await main(folder);
  console.log(`\nEverything is verified. The demo took ${milliseconds(performance.now() - start)}.`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
