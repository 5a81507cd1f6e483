/** A program with a store on a file. Arguments: the file; inline, pooled or attached; whether to lock the file. */

import { Worker, workerData } from 'node:worker_threads';
import { attach, createStore, type StoreHandle } from 'blobyard';

const [file, mode, lock] = process.argv.slice(2);

async function useStore(): Promise<void> {
  const store = await createStore({
    device: { kind: 'file', path: file, create: true, sizeBytes: 2 ** 26 },
    threads: mode === 'pooled' ? 1 : 0,
    lock: lock === 'true' ? 'exclusive' : 'none',
  });
  const blob = await store.create({ name: 'a', sizeBytes: 2 ** 21, thin: true });
  if (mode === 'attached') {
    const worker = new Worker(new URL(import.meta.url), { workerData: store.share(), argv: process.argv.slice(2) });
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
  } else {
    await blob.write(new Uint8Array(9000).fill(7), 1);
    await blob.flush();
  }
  await blob.trim(2 ** 20, 2 ** 20);
  const bytes = await blob.read(0, 9002);
  const isRight = bytes.every((byte, index) => byte === (index === 0 || index === 9001 ? 0 : 7));
  await blob.close();
  await store.close();
  console.log(isRight ? 'ok' : 'wrong bytes');
}

async function useAttached(handle: StoreHandle): Promise<void> {
  const store = await attach(handle);
  const blob = store.openSync({ name: 'a' });
  blob.writeSync(new Uint8Array(9000).fill(7), 1);
  blob.flushSync();
  blob.closeSync();
  await store.close();
}

try {
  await (workerData === null ? useStore() : useAttached(workerData));
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  console.log(`${code}: ${message}`);
}
