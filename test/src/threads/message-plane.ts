/**
 * A data plane for tests of what is around it: every request goes to the metadata worker by a message, and is done there by a
 * channel of the engine. Slow, and right.
 */

import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type BlobRef, BlobstoreError } from 'blobyard';
import type { PromiseChannel, SyncChannel } from '../../../packages/workers/dist/data/byte-io.js';
import { RequestSlots } from '../../../packages/workers/dist/data/request-slots.js';
import type { DataPlane, DataPlaneNeeds } from '../../../packages/workers/dist/threads/data-plane.js';
import { fromWire, type WireError } from '../../../packages/workers/dist/threads/wire-error.js';

export interface DataRequest {
  readonly id: number;
  readonly operation: 'readv' | 'writev' | 'writeZeroes' | 'unmap';
  readonly blob: BlobRef;
  readonly offset: number;
  readonly count: number;
  /** Of reads. */
  readonly lengths: readonly number[];
  /** Of writes. */
  readonly data: readonly Uint8Array[];
}

export interface DataReply {
  readonly id: number;
  readonly data?: readonly Uint8Array[];
  readonly error?: WireError;
}

/** What the metadata worker is sent: requests in promise form, those on the calling thread, and where that waits. */
export interface DataPorts {
  readonly requests: MessagePort;
  readonly syncRequests: MessagePort;
  readonly bell: Int32Array;
}

interface Waiting {
  resolve(data: readonly Uint8Array[]): void;
  reject(error: Error): void;
}

type Ask<T> = (operation: DataRequest['operation'], blob: BlobRef, at: Range, payload: Payload) => T;
type Range = readonly [offset: number, count: number];
type Payload = { readonly into?: readonly Uint8Array[]; readonly data?: readonly Uint8Array[] };

export async function startMessagePlane({ metadata, device }: DataPlaneNeeds): Promise<DataPlane> {
  const [requests, syncRequests] = [new MessageChannel(), new MessageChannel()];
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const ports: DataPorts = { requests: requests.port2, syncRequests: syncRequests.port2, bell };
  metadata.worker.postMessage(ports, [requests.port2, syncRequests.port2]);
  const waiting = new Map<number, Waiting>();
  const slots = new RequestSlots(64);
  let nextId = 1;
  let failure: BlobstoreError | undefined;
  requests.port1.on('message', ({ id, data = [], error }: DataReply) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(data);
    else asked?.reject(fromWire(error));
  });
  requests.port1.unref();

  const ask: Ask<Promise<void>> = (operation, blob, at, payload) =>
    slots.run(async () => {
      if (failure !== undefined) throw failure;
      const request = requestOf(nextId++, operation, blob, at, payload);
      const data = await new Promise<readonly Uint8Array[]>((resolve, reject) => {
        waiting.set(request.id, { resolve, reject });
        requests.port1.postMessage(request);
      });
      fill(payload.into, data);
    });

  const askSync: Ask<void> = (operation, blob, at, payload) => {
    if (failure !== undefined) throw failure;
    Atomics.store(bell, 0, 0);
    syncRequests.port1.postMessage(requestOf(nextId++, operation, blob, at, payload));
    Atomics.wait(bell, 0, 0);
    const reply = receiveMessageOnPort(syncRequests.port1)?.message as DataReply;
    if (reply.error !== undefined) throw fromWire(reply.error);
    fill(payload.into, reply.data ?? []);
  };

  return {
    channel: promiseChannel(ask),
    syncChannel: () => {
      if (device.synchronous) return syncChannel(askSync);
      throw new BlobstoreError('ENOTSUP', 'the device is asynchronous: use the promise form of this call');
    },
    onMetadataDeath(error) {
      failure = error;
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
    },
    async stop() {
      requests.port1.close();
      syncRequests.port1.close();
    },
  };
}

function requestOf(
  id: number,
  operation: DataRequest['operation'],
  { slot, generation }: BlobRef,
  [offset, count]: Range,
  { into = [], data = [] }: Payload,
): DataRequest {
  const lengths = into.map((each) => each.length);
  // Copies: a view would be sent with all the memory that it looks at.
  const copies = data.map((each) => Uint8Array.from(each));
  return { id, operation, blob: { slot, generation }, offset, count, lengths, data: copies };
}

function fill(into: readonly Uint8Array[] = [], data: readonly Uint8Array[]): void {
  for (const [index, each] of into.entries()) each.set(data[index]);
}

function promiseChannel(ask: Ask<Promise<void>>): PromiseChannel {
  return {
    read: (blob, into, offset, count) => ask('readv', blob, [offset, count], { into: [into] }),
    readv: (blob, into, offset, count) => ask('readv', blob, [offset, count], { into }),
    write: (blob, data, offset, count) => ask('writev', blob, [offset, count], { data: [data] }),
    writev: (blob, data, offset, count) => ask('writev', blob, [offset, count], { data }),
    writeZeroes: (blob, offset, count) => ask('writeZeroes', blob, [offset, count], {}),
    unmap: (blob, offset, count) => ask('unmap', blob, [offset, count], {}),
  };
}

function syncChannel(ask: Ask<void>): SyncChannel {
  return {
    readSync: (blob, into, offset, count) => ask('readv', blob, [offset, count], { into: [into] }),
    readvSync: (blob, into, offset, count) => ask('readv', blob, [offset, count], { into }),
    writeSync: (blob, data, offset, count) => ask('writev', blob, [offset, count], { data: [data] }),
    writevSync: (blob, data, offset, count) => ask('writev', blob, [offset, count], { data }),
    writeZeroesSync: (blob, offset, count) => ask('writeZeroes', blob, [offset, count], {}),
    unmapSync: (blob, offset, count) => ask('unmap', blob, [offset, count], {}),
  };
}
