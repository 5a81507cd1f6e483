/** Round trips through the rings of an I/O worker that completes each request at once. */

import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { RingClient } from '../../../packages/workers/dist/io-pool/rings/ring-client.js';
import type { Benchmark, Scale, Workload } from '../benchmark.js';
import { sized } from '../fixtures.js';

const THREAD = new URL('../threads/ring-thread.js', import.meta.url);
const UNIT_BYTES = 4096;
const OPERATIONS = 4096;
const OPERATIONS_SMOKE = 256;
const BLOB = { slot: 0, generation: 0 };
const IN_FLIGHT = [1, 32, 128];

export const RINGS: readonly Benchmark[] = IN_FLIGHT.map((inFlight) => ({
  name: `ring-${inFlight}`,
  operation: `a round trip through the rings of an I/O worker that does no work, ${inFlight} in flight`,
  isAsync: true,
  prepare: (scale: Scale) => prepare(scale, inFlight),
}));

async function prepare(scale: Scale, inFlight: number): Promise<Workload> {
  const operations = sized(scale, OPERATIONS, OPERATIONS_SMOKE);
  const client = new RingClient({ ioUnitBytes: UNIT_BYTES });
  const ring = client.createRing();
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(THREAD, { workerData: { ring, port: port2 }, transferList: [port2] });
  await once(worker, 'message');
  const lane = client.addWorker(ring, port1);
  const memory = new SharedArrayBuffer(inFlight * UNIT_BYTES);
  const run = async () => {
    let next = 0;
    let sum = 0;
    const oneAfterAnother = async (_: unknown, index: number) => {
      const buffer = new Uint8Array(memory, index * UNIT_BYTES, UNIT_BYTES);
      while (next < operations) {
        const operation = next++;
        await client.read(BLOB, buffer, operation, 1);
        if (buffer[0] !== (operation & 0xff))
          throw new Error(`request ${operation} left the byte ${buffer[0]} instead of ${operation & 0xff}`);
        sum = (sum + operation) | 0;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, oneAfterAnother));
    return sum;
  };
  const dispose = async () => {
    await client.removeWorker(lane);
    await once(worker, 'exit');
  };
  return { operationsPerCall: operations, subject: { run }, dispose };
}
