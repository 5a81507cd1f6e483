/**
 * What an I/O worker does: it attaches to the store, and serves a client's ring. `begin` may be called again after it has
 * returned an error.
 */

import type { MessagePort } from 'node:worker_threads';
import { MemoryDevice } from '@blobyard/io';
import type { StoreHandle } from '../api/store-handle.js';
import { attachChannel, closeRemoteChannel, type RemoteChannel } from '../attached/remote-channel.js';
import { type Envelope, toWire } from '../threads/wire-error.js';
import type { RingBuffers } from './rings/ring-layout.js';
import { RingServer } from './rings/ring-server.js';

/** The argument of `begin`. */
export interface IoWorkerTask {
  readonly handle: StoreHandle;
  readonly ring: RingBuffers;
  readonly port: MessagePort;
}

/** Settles when the ring is no longer served, and the thread has detached. */
let ended: Promise<void> = Promise.resolve();

/**
 * Begins to serve. Returns the row of the worker's channel, or the error. Serving goes on in the worker's event loop.
 */
export async function begin(task: IoWorkerTask): Promise<Envelope<number>> {
  try {
    return { ok: await serve(task) };
  } catch (error) {
    task.port.close();
    return { error: toWire(error) };
  }
}

async function serve({ handle, ring, port }: IoWorkerTask): Promise<number> {
  const remote = await attachChannel(handle);
  const { device, row, life } = remote.host;
  life.watch(false);
  const server = new RingServer(ring, port, {
    channel: remote.channel,
    deviceMemory: device instanceof MemoryDevice ? device.memory : undefined,
    promisesMax: handle.channelOpsMax,
    isPrompt: handle.device.kind !== 'custom',
  });
  ended = serveAndLeave(server, remote);
  ended.catch(() => undefined); // it may reject before `end` awaits it
  return row;
}

async function serveAndLeave(server: RingServer, remote: RemoteChannel): Promise<void> {
  try {
    await server.run();
  } finally {
    await closeRemoteChannel(remote);
    await remote.host.device.close();
  }
}

/**
 * Waits until the ring is no longer served and the thread has detached. The client must have sent `stop` before, unless
 * the thread serves no ring. Returns the error if detaching failed.
 */
export async function end(): Promise<Envelope<void>> {
  try {
    return { ok: await ended };
  } catch (error) {
    return { error: toWire(error) };
  }
}
