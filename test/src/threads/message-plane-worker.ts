/** The metadata worker of tests: it also serves the data requests of `message-plane.ts`, and dies when it is told to. */

import { parentPort } from 'node:worker_threads';
import type { Channel } from 'blobyard';
import { serveMetadata } from '../../../packages/workers/dist/threads/serve-metadata.js';
import { toWire } from '../../../packages/workers/dist/threads/wire-error.js';
import type { DataPorts, DataReply, DataRequest } from './message-plane.js';

export type DeathWish = { readonly die: 'exit' | 'throw' | 'reject' };

let channel: Channel;
serveMetadata((store) => {
  channel = store.engine.channel;
});

parentPort?.on('message', (message: DataPorts | DeathWish) => {
  if ('die' in message) die(message);
  else serve(message);
});

function serve({ requests, syncRequests, bell }: DataPorts): void {
  requests.on('message', (request: DataRequest) => {
    void answer(request).then((reply) => requests.postMessage(reply));
  });
  syncRequests.on('message', (request: DataRequest) => {
    syncRequests.postMessage(answerSync(request));
    Atomics.store(bell, 0, 1);
    Atomics.notify(bell, 0);
  });
}

async function answer({ id, operation, blob, offset, count, lengths, data }: DataRequest): Promise<DataReply> {
  try {
    const into = lengths.map((length) => new Uint8Array(length));
    if (operation === 'readv') await channel.readv(blob, into, offset, count);
    else if (operation === 'writev') await channel.writev(blob, data, offset, count);
    else if (operation === 'writeZeroes') await channel.writeZeroes(blob, offset, count);
    else await channel.unmap(blob, offset, count);
    return { id, data: into };
  } catch (error) {
    return { id, error: toWire(error) };
  }
}

function answerSync({ id, operation, blob, offset, count, lengths, data }: DataRequest): DataReply {
  try {
    const into = lengths.map((length) => new Uint8Array(length));
    if (operation === 'readv') channel.readvSync(blob, into, offset, count);
    else if (operation === 'writev') channel.writevSync(blob, data, offset, count);
    else if (operation === 'writeZeroes') channel.writeZeroesSync(blob, offset, count);
    else channel.unmapSync(blob, offset, count);
    return { id, data: into };
  } catch (error) {
    return { id, error: toWire(error) };
  }
}

function die({ die }: DeathWish): void {
  if (die === 'exit') process.exit(3);
  if (die === 'throw') throw new Error('a bug in the metadata worker');
  if (die === 'reject') void Promise.reject(new Error('nobody catches this'));
}
