/** An application to be bundled. Arguments: the number of threads, and the files of the workers, if it is to name them. */

import { createStore } from 'blobyard';

async function main([threads, metadata, io]: string[]): Promise<void> {
  const store = await createStore({
    device: { kind: 'memory', sizeBytes: 2 ** 24 },
    threads: Number(threads),
    workers: io === undefined ? undefined : { metadata, io },
  });
  const blob = await store.create({ sizeBytes: 2 ** 20 });
  await blob.write(new Uint8Array(9).fill(7), 1);
  console.log((await blob.read(1, 1))[0] === 7 ? 'ok' : 'wrong bytes');
  await blob.close();
  await store.close();
}

main(process.argv.slice(2)).catch((error: NodeJS.ErrnoException) => console.log(`${error.code}: ${error.message}`));
