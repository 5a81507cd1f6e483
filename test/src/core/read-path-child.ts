/**
 * Reads and writes in many ways, and prints for each way how many bytes of the heap a transfer allocated. Run by
 * `read-path.test.ts` with a young generation so large that no garbage is collected meanwhile: all that was allocated
 * is then still there to be counted.
 */

import { getHeapStatistics } from 'node:v8';
import { type Blob, Blobstore, type Channel, runSync } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';

const TRANSFERS = 200_000;
const WARM_UP_TRANSFERS = 60_000;
const CLUSTER_BYTES = 65_536;
const TRANSFER_BYTES = 4096;

interface Scenario {
  name: string;
  blob: Blob;
  /** The io unit of the first transfer; `step` is the distance in io units from one transfer to the next. */
  start: number;
  step: number;
  ioUnitsInBlob: number;
  ioUnitsPerTransfer: number;
  transfer: Transfer;
}

type Transfer = (channel: Channel, blob: Blob, offset: number, count: number) => void;
const read: Transfer = (channel, blob, offset, count) => channel.readSync(blob, buffer, offset, count);
const write: Transfer = (channel, blob, offset, count) => channel.writeSync(blob, buffer, offset, count);
const zero: Transfer = (channel, blob, offset, count) => channel.writeZeroesSync(blob, offset, count);
const unmap: Transfer = (channel, blob, offset, count) => channel.unmapSync(blob, offset, count);

const device = MemoryDevice.create({ sizeBytes: 16 << 20, blockLengthBytes: 512 });
const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 64 }));
const channel = store.openChannel();
const buffer = device.allocateBuffer(TRANSFER_BYTES);

function open(clusterCount: number, thin: boolean): Blob {
  return runSync(store.openBlob(runSync(store.createBlob({ clusterCount, thin }))));
}

/** A clone behind `depth` snapshots, each of which has one of the clusters. */
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
  const ioUnitsPerTransfer = TRANSFER_BYTES / device.blockLengthBytes;
  const perCluster = store.geometry.ioUnitsPerCluster;
  const across = perCluster - ioUnitsPerTransfer / 2;
  const of = (name: string, transfer: Transfer, blob: Blob, start: number, step: number): Scenario => {
    return { name, transfer, blob, start, step, ioUnitsInBlob: blob.clusterCount * perCluster, ioUnitsPerTransfer };
  };
  return [
    of('reads of allocated clusters', read, open(16, false), 0, ioUnitsPerTransfer),
    of('reads of holes of a thin blob', read, open(16, true), 0, ioUnitsPerTransfer),
    of('reads through a chain of snapshots', read, openChain(6), 0, ioUnitsPerTransfer),
    of('reads split over two clusters', read, open(16, false), across, perCluster),
    of('reads split over two clusters of a chain', read, openChain(6), across, perCluster),
    of('writes to allocated clusters', write, open(16, false), 0, ioUnitsPerTransfer),
    of('writes split over two clusters', write, open(16, false), across, perCluster),
    of('zeroes split over two clusters', zero, open(16, false), across, perCluster),
    of('unmaps split over two clusters', unmap, open(16, false), across, perCluster),
  ];
}

function transferMany(
  { blob, start, step, ioUnitsInBlob, ioUnitsPerTransfer, transfer }: Scenario,
  times: number,
): void {
  let offset = start;
  for (let time = 0; time < times; time++) {
    transfer(channel, blob, offset, ioUnitsPerTransfer);
    offset += step;
    if (offset + ioUnitsPerTransfer > ioUnitsInBlob) offset = start;
  }
}

const all = scenarios();
for (let round = 0; round < 3; round++) for (const scenario of all) transferMany(scenario, WARM_UP_TRANSFERS);
const bytesPerTransfer: Record<string, number> = {};
for (const scenario of all) {
  const before = getHeapStatistics().used_heap_size;
  transferMany(scenario, TRANSFERS);
  bytesPerTransfer[scenario.name] = (getHeapStatistics().used_heap_size - before) / TRANSFERS;
}
console.log(JSON.stringify(bytesPerTransfer));
