import { Worker, isMainThread, workerData, parentPort } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { createStore, attach } from '@blobyard/workers';
if (isMainThread) {
  const store = await createStore({ device: { kind: 'memory', sizeBytes: 256 << 20 }, clusterSizeBytes: 65536 });
  const blob = await store.create({ sizeBytes: 64 << 20, thin: true });
  const thick = await store.create({ sizeBytes: 64 << 20 });
  const w = new Worker(fileURLToPath(import.meta.url), { workerData: { yard: store.share(), id: blob.id, thick: thick.id } });
  w.on('message', (m) => console.log(m));
  w.on('error', (e) => console.log('worker error', e));
  await new Promise((r) => w.on('exit', r));
  console.log((await blob.info()).allocatedBytes);
  console.log(Buffer.from(await blob.read(65536 * 5, 8)).toString('hex'));
  console.log(await store.stats());
  store.engine.blobstore.verify();
  await blob.close(); await thick.close();
  await store.engine.blobstore.closeChannel
  await store.close();
} else {
  const yard = await attach(workerData.yard);
  const blob = yard.blob(workerData.id);
  const buf = yard.allocate(4096).fill(7);
  let t = performance.now();
  const N = 1000;
  for (let i = 0; i < N; i++) blob.writeSync(buf, i * 65536);
  parentPort.postMessage(`first writes sync ${(N / (performance.now() - t) * 1000) | 0}/s`);
  const b2 = yard.blob(workerData.thick);
  for (let r = 0; r < 3; r++) {
    t = performance.now();
    const M = 300000;
    for (let i = 0; i < M; i++) b2.readSync((i * 7919 % 16384) * 4096, buf);
    parentPort.postMessage(`reads sync ${((performance.now() - t) / M * 1000).toFixed(3)} us`);
  }
  const out = blob.readSync(65536 * 5, 4096);
  parentPort.postMessage('read ' + out[0] + ' ' + blob.sizeBytes);
  await blob.write(buf, 65536 * 1001);
  await Promise.all(Array.from({ length: 20 }, (_, i) => blob.write(buf, 65536 * (1002 + i))));
  parentPort.postMessage('async ok');
  await yard.detach();
}
