/** A program whose I/O worker dies when no file descriptor is left: then not even a thread can be started. */

import { closeSync, openSync } from 'node:fs';
import { type BlobstoreError, createStore, MemoryDevice } from 'blobyard';
import { mortalDevice, poison } from './mortal-device.js';

const memory = MemoryDevice.create({ sizeBytes: 16 << 20 });
const store = await createStore({ device: mortalDevice(memory), threads: 1, clusterSizeBytes: 65536 });
const blob = await store.create({ sizeBytes: 1 << 20 });
await blob.write(new Uint8Array(4096).fill(7), 0);
store.on('worker-lost', ({ workersLeft }) => {
  // Also takes the descriptors of the dead thread, which may become free a moment later.
  for (const end = performance.now() + 50; performance.now() < end; ) opened.push(...openAll());
  console.log(`lost, ${workersLeft} left`);
});
const replaced = new Promise<void>((resolve) => {
  store.on('worker-replaced', ({ workers }) => {
    console.log(`replaced, ${workers} there`);
    resolve();
  });
});
console.log('open'); // the first output needs a descriptor
const opened = openAll();
await blob.write(poison('exit'), 65536).catch(() => undefined);
console.log(await refusal());
for (const descriptor of opened) closeSync(descriptor);
const stay = setInterval(() => undefined, 1000); // keeps the process alive, which a pause between two tries does not
await replaced;
clearInterval(stay);
console.log(`read ${(await blob.read(0, 1))[0]}`);
await blob.close();
await store.close();
console.log('closed');

function openAll(): number[] {
  const descriptors: number[] = [];
  for (;;) {
    try {
      descriptors.push(openSync('/dev/null', 'r'));
    } catch {
      return descriptors;
    }
  }
}

/** The error code of a read after no worker could be started, and its cause. */
async function refusal(): Promise<string> {
  const { code, cause } = await blob.read(0, 1).then(
    () => ({ code: 'none', cause: undefined }),
    (error: BlobstoreError) => error,
  );
  const why = /EMFILE/.exec(String((cause as Error | undefined)?.message));
  return `${code} ${why?.[0]}`;
}
