/** An attached thread of a stress run. */

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type StoreHandle } from '@blobyard/workers';
import { underWayOf } from '../../../packages/workers/dist/open/internal.js';
import { Actor, type ActorReport, textOf } from './actor.js';
import { dataSchedule, type Weights } from './schedule.js';
import { type LogBuffers, SharedLog } from './shared-log.js';

export interface AttachedThreadData {
  readonly handle: StoreHandle;
  readonly log: LogBuffers;
  readonly writer: number;
  readonly seed: number;
  /** The name of its sequence of operations. */
  readonly name: string;
  readonly weights?: Weights['data'];
  /** The number of threads that wait for each other before they begin to work. */
  readonly together: number;
  /** True: it ends without a detach. */
  readonly leavesAbruptly: boolean;
  /** True: the synchronous calls are available. */
  readonly hasSync: boolean;
}

const {
  handle,
  log: buffers,
  writer,
  seed,
  name,
  weights,
  together,
  leavesAbruptly,
  hasSync,
} = workerData as AttachedThreadData;

async function work(): Promise<ActorReport> {
  const store = await attach(handle);
  const hasDeviceMemory = writer % 2 === 0;
  const allocated: Uint8Array[] = [];
  const log = new SharedLog(buffers);
  const actor = new Actor({
    log,
    writer,
    schedule: dataSchedule(seed, name, weights),
    open: (id) => store.open(id),
    openSync: (id) => store.openSync(id),
    allocate: (bytes) => {
      if (!hasDeviceMemory) return new Uint8Array(bytes);
      const buffer = store.allocate(bytes);
      allocated.push(buffer);
      return buffer;
    },
    isStoreThread: false,
    hasSync,
  });
  log.arrive();
  await log.allArrived(together);
  const report = await actor.run();
  for (const buffer of allocated) store.release(buffer);
  for (const [what, count] of Object.entries(underWayOf(store))) {
    if (count !== 0) report.findings.push(`writer ${writer} has left over: ${what} ${count}`);
  }
  if (!leavesAbruptly) await store.close();
  return report;
}

work().then(
  (report) => parentPort?.postMessage(report),
  (error: unknown) => {
    const findings = [`writer ${writer} failed: ${textOf(error)}`];
    parentPort?.postMessage({ operations: 0, blocks: 0, refused: {}, findings } satisfies ActorReport);
  },
);
