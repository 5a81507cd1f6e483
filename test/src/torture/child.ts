/** The tortured process: it opens the store, works on it with several threads, and reports until it is killed. */

import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { openStore, type Store, type StoreHandle } from 'blobyard';
import { Random } from '../random.js';
import type { AttachedTask, AttachedThreadData } from './attached-thread.js';
import { Lane } from './lane.js';
import { type Order, Reporter } from './protocol.js';

const LANES = 5;

const order = JSON.parse(readFileSync(0, 'utf8')) as Order;
const { path, seed, round, mode, durability, threads } = order;
const reporter = new Reporter(0);

async function main(): Promise<void> {
  reporter.say('opening');
  const isPooled = mode === 'pool' || mode === 'mixed';
  const store = await openStore({
    device: { kind: 'file', path },
    threads: isPooled ? threads : 0,
    durability,
    keepAlive: true,
  });
  reporter.say('opened');
  const isAttached = mode === 'attached' || mode === 'mixed';
  const workers = isAttached ? Array.from({ length: threads }, (_, index) => attached(store.share(), index)) : [];
  const end = order.workMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + order.workMs;
  const lanes = await makeLanes(store, isPooled, workers);
  await Promise.all(
    lanes.map(async (lane) => {
      while (performance.now() < end) {
        await lane.step();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  reporter.say('closing');
  await store.close();
  reporter.say('closed');
  process.exit(0);
}

/** Makes the lanes. A blob, its snapshots and their clones are all in the same lane. */
async function makeLanes(store: Store, isPooled: boolean, workers: AttachedThread[]): Promise<Lane[]> {
  const { clusterSizeBytes } = await store.stats();
  const parents = new Map((await store.blobs()).map(({ id, parentId }) => [id, parentId]));
  const rootOf = (id: bigint): bigint => {
    const parent = parents.get(id);
    return parent === undefined ? id : rootOf(parent);
  };
  const roots = [...new Set([...parents.keys()].map(rootOf))];
  return Array.from({ length: LANES }, (_, index) => {
    const own = order.blobs.filter(({ id }) => roots.indexOf(rootOf(BigInt(id))) % LANES === index);
    const worker = workers.length === 0 ? undefined : workers[index % workers.length];
    return new Lane(
      {
        store,
        name: `${round}-${index}`,
        random: new Random(seed, `${round} lane ${index}`),
        reporter,
        clusterBytes: clusterSizeBytes,
        hasSync: !isPooled,
        elsewhere: worker,
      },
      new Map(own.map(({ key, id }) => [key, BigInt(id)])),
    );
  });
}

type AttachedThread = (key: string, id: bigint, count: number) => Promise<void>;

/** Starts an attached thread. */
function attached(handle: StoreHandle, index: number): AttachedThread {
  const data: AttachedThreadData = { handle, seed, name: `${round} thread ${index}`, writer: index + 1 };
  const worker = new Worker(new URL('./attached-thread.js', import.meta.url), { workerData: data });
  const waiting = new Map<number, () => void>();
  worker.on('message', (task: number) => {
    waiting.get(task)?.();
    waiting.delete(task);
  });
  worker.on('error', (error) => {
    throw error;
  });
  let count = 0;
  return (key, id, operations) =>
    new Promise((resolve) => {
      const task: AttachedTask = { number: count++, key, id, count: operations };
      waiting.set(task.number, resolve);
      worker.postMessage(task);
    });
}

await main();
