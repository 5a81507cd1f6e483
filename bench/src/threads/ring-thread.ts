/**
 * The entry of a thread that serves a ring and completes each read at once. The first byte of a read is the lowest byte
 * of its offset.
 */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { RingBuffers } from '../../../packages/workers/dist/io-pool/rings/ring-layout.js';
import { type RingChannel, RingServer } from '../../../packages/workers/dist/io-pool/rings/ring-server.js';

const { ring, port } = workerData as { ring: RingBuffers; port: MessagePort };

const unexpected = async () => {
  throw new Error('this thread serves only reads');
};
const channel: RingChannel = {
  tryReadNow: (_blob, buffer, offset, _count, bufferOffset = 0) => {
    buffer[bufferOffset] = offset;
    return true;
  },
  tryWriteNow: () => false,
  tryReadBytesNow: () => false,
  tryWriteBytesNow: () => false,
  read: unexpected,
  write: unexpected,
  readBytes: unexpected,
  writeBytes: unexpected,
  readv: unexpected,
  writev: unexpected,
  writeZeroes: unexpected,
  unmap: unexpected,
};

const server = new RingServer(ring, port, { channel, isPrompt: true });
parentPort?.postMessage('ready');
await server.run();
