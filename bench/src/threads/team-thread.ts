/** The entry of the threads of a team. */

import { parentPort, workerData } from 'node:worker_threads';
import type { Job, JobSpec, Share } from './job.js';
import { attachedJob } from './jobs/attached.js';
import { bareJob } from './jobs/bare.js';
import { firstWriteJob } from './jobs/first-write.js';
import { lockJob } from './jobs/lock.js';
import { mailboxJob } from './jobs/mailbox.js';
import { poolJob } from './jobs/pool.js';
import type { Done, Order } from './team.js';

const { jobs: specs, next } = workerData as { jobs: readonly JobSpec[]; next: Int32Array };
const jobs: readonly Job[] = await Promise.all(specs.map(jobOf));

function jobOf(spec: JobSpec): Promise<Job> | Job {
  switch (spec.kind) {
    case 'attached':
      return attachedJob(spec.handle, spec.blobId, spec.work);
    case 'bare':
      return bareJob(spec.bare, spec.work);
    case 'pool':
      return poolJob(spec.isSmoke);
    case 'first-write':
      return firstWriteJob(spec.handle, spec.clusterBytes);
    case 'mailbox':
      return mailboxJob(spec.handle, spec.ask, spec.pauseMs);
    case 'lock':
      return lockJob(spec.words);
  }
}

async function carryOut({ job: index, operations, chunk, call, argument }: Order): Promise<Done> {
  const job = jobs[index];
  const share: Share = {
    operations,
    chunk,
    call,
    take: () => {
      const first = Atomics.add(next, 0, chunk);
      return first < operations ? first : -1;
    },
  };
  job.begin?.(argument);
  const begin = now();
  const answer = job.run(share);
  const sum = typeof answer === 'number' ? answer : await answer;
  const end = now();
  return { begin, end, sum, figures: await job.end?.() };
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const port = parentPort;
if (port === null) throw new Error('this module must run as a worker thread');
port.on('message', async (order: Order | undefined) => {
  if (order !== undefined) port.postMessage(await carryOut(order));
  else {
    for (const job of jobs) await job.close();
    port.close();
  }
});
port.postMessage('ready');
