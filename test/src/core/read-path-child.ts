/**
 * Reads in many ways and prints, for each, how many bytes of the heap a read took. Run by `read-path.test.ts` with a young
 * generation so large that nothing is collected meanwhile: what was allocated is then still there to be counted.
 */

import { getHeapStatistics } from 'node:v8';
import { type Blob, Blobstore, type Channel, runSync } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';

const READS = 200_000;
const WARM_UP_READS = 60_000;
const CLUSTER_BYTES = 65_536;
const READ_BYTES = 4096;

interface Scenario {
  name: string;
  blob: Blob;
  /** Io units between one read's offset and the next one's, and where they begin. */
  start: number;
  step: number;
  ioUnitsInBlob: number;
  ioUnitsPerRead: number;
}

const device = MemoryDevice.create({ sizeBytes: 16 << 20, blockLengthBytes: 512 });
const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 64 }));
const channel = store.openChannel();
const buffer = device.allocateBuffer(READ_BYTES);

function open(clusterCount: number, thin: boolean): Blob {
  return runSync(store.openBlob(runSync(store.createBlob({ clusterCount, thin }))));
}

/** A clone behind which there are several snapshots, each with one of the clusters. */
function openChain(depth: number): Blob {
  const blob = open(depth, true);
  const content = new Uint8Array(CLUSTER_BYTES).fill(7);
  for (let cluster = 0; cluster < depth; cluster++) {
    const offset = cluster * store.geometry.ioUnitsPerCluster;
    channel.writeSync(blob, content, offset, store.geometry.ioUnitsPerCluster);
    runSync(store.createSnapshot(blob.id));
  }
  return blob;
}

function scenarios(): Scenario[] {
  const ioUnitsPerRead = READ_BYTES / device.blockLengthBytes;
  const perCluster = store.geometry.ioUnitsPerCluster;
  const of = (name: string, blob: Blob, start: number, step: number): Scenario => {
    return { name, blob, start, step, ioUnitsInBlob: blob.clusterCount * perCluster, ioUnitsPerRead };
  };
  return [
    of('allocated clusters', open(16, false), 0, ioUnitsPerRead),
    of('holes of a thin blob', open(16, true), 0, ioUnitsPerRead),
    of('through a chain of snapshots', openChain(6), 0, ioUnitsPerRead),
    of('split over two clusters', open(16, false), perCluster - ioUnitsPerRead / 2, perCluster),
    of('split over two clusters of a chain', openChain(6), perCluster - ioUnitsPerRead / 2, perCluster),
  ];
}

function readMany(reader: Channel, scenario: Scenario, reads: number): void {
  const { blob, start, step, ioUnitsInBlob, ioUnitsPerRead } = scenario;
  let offset = start;
  for (let read = 0; read < reads; read++) {
    reader.readSync(blob, buffer, offset, ioUnitsPerRead);
    offset += step;
    if (offset + ioUnitsPerRead > ioUnitsInBlob) offset = start;
  }
}

const all = scenarios();
for (let round = 0; round < 3; round++) for (const scenario of all) readMany(channel, scenario, WARM_UP_READS);
const bytesPerRead: Record<string, number> = {};
for (const scenario of all) {
  const before = getHeapStatistics().used_heap_size;
  readMany(channel, scenario, READS);
  bytesPerRead[scenario.name] = (getHeapStatistics().used_heap_size - before) / READS;
}
console.log(JSON.stringify(bytesPerRead));
