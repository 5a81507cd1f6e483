/**
 * Requests and calls of an attached thread that the metadata thread answers without other work: while the metadata
 * thread is awake, and while it sleeps and must be woken.
 */

import { MemoryDevice } from '@blobyard/io';
import { createStore } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { MIB, sized } from '../fixtures.js';
import type { MailboxAsk } from '../threads/job.js';
import { Team } from '../threads/team.js';

const OPERATIONS = 1000;
const OPERATIONS_ASLEEP = 20;
const OPERATIONS_SMOKE = 10;
/** Pause before a request, in milliseconds: longer than the metadata thread stays awake after the request before. */
const PAUSE_MS = 4;

export const MAILBOXES: readonly Benchmark[] = [
  {
    name: 'mailbox',
    operation: 'a request to the metadata thread and its reply, one at a time',
    isAsync: true,
    prepare: (scale) => prepare(scale, sized(scale, OPERATIONS, OPERATIONS_SMOKE), 'request', 0),
  },
  {
    name: 'mailbox-call',
    operation: 'a call of a method of the metadata thread and its reply, one at a time',
    isAsync: true,
    prepare: (scale) => prepare(scale, sized(scale, OPERATIONS, OPERATIONS_SMOKE), 'call', 0),
  },
  {
    name: 'mailbox-asleep',
    operation: 'a request, with a wake-up of the metadata thread each time',
    isAsync: true,
    schedule: { rounds: 11, roundMs: 0, warmupMs: 100 },
    prepare: (scale) => prepare(scale, sized(scale, OPERATIONS_ASLEEP, OPERATIONS_SMOKE), 'request', PAUSE_MS),
  },
];

async function prepare(_scale: Scale, operations: number, ask: MailboxAsk, pauseMs: number): Promise<Workload> {
  const store = await createStore({ device: MemoryDevice.create({ sizeBytes: 16 * MIB }), threads: 1 });
  const team = await Team.start(1, [{ kind: 'mailbox', handle: store.share(), ask, pauseMs }]);
  let milliseconds = 0;
  const run = async () => {
    const { figures, sum } = await team.run({ job: 0, operations });
    milliseconds = figures[0].waitedMs;
    return sum;
  };
  const subject: Side = { run, lastMilliseconds: () => milliseconds };
  const dispose = async () => {
    await team.stop();
    await store.close();
  };
  return { operationsPerCall: operations, subject, dispose };
}
