/** A program in which threads of a store run out of memory: an I/O worker, then an attached thread. */

import { Worker, workerData } from 'node:worker_threads';
import { attach, type BlobstoreError, createStore, MemoryDevice, type StoreHandle } from 'blobyard';
import { mortalDevice, poison } from './mortal-device.js';

interface Hoarder {
  readonly yard: StoreHandle;
  readonly id: bigint;
}

if (workerData?.yard === undefined) await main();
else await hoard(workerData as Hoarder);

async function main(): Promise<void> {
  const memory = MemoryDevice.create({ sizeBytes: 16 << 20 });
  const store = await createStore({ device: mortalDevice(memory), threads: 1, clusterSizeBytes: 65536 });
  const blob = await store.create({ sizeBytes: 8 << 20, thin: true });
  const code = await blob.write(poison('memory'), 65536).then(
    () => 'done',
    (error: BlobstoreError) => error.code,
  );
  await blob.write(new Uint8Array(4096).fill(8), 0);
  console.log(`worker: ${code}, then ${(await blob.read(0, 1))[0]}`);
  const thread = new Worker(new URL(import.meta.url), { workerData: { yard: store.share(), id: blob.id } });
  const death = await new Promise<Error & { code?: string }>((resolve) => thread.once('error', resolve));
  await (await blob.snapshot()).close();
  await blob.write(new Uint8Array(4096).fill(9), 0);
  console.log(`attached: ${death.code}, then ${(await blob.read(0, 1))[0]}`);
  await blob.close();
  await store.close();
  console.log('closed');
}

async function hoard({ yard, id }: Hoarder): Promise<void> {
  const blob = (await attach(yard)).openSync(id);
  blob.writeSync(poison('memory'), 2 * 65536);
}
