/**
 * Synchronous reads and writes of a thick blob, on the calling thread. The baseline moves the same bytes from and to
 * the same places without the engine: by `Buffer.copy` from or to the device's memory, or by `fs.readSync` and
 * `fs.writeSync` on the device's file, which is in the page cache. Both sides use the same buffer and the same offsets.
 */

import fs from 'node:fs';
import type { Blob, Blobstore, Channel } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import type { Benchmark, Scale, Side, Target, Workload } from '../benchmark.js';
import { contiguousStart, KIB, MIB, newBlob, newFileDevice, newStore, sized, temporaryFile } from '../fixtures.js';
import { CHECKSUM_START, fillRandomly, fold, randomIndices } from '../random.js';
import type { Medium } from '../threads/ground.js';

const BLOCK_BYTES = 4 * KIB;
const CLUSTER_BYTES = MIB;
/** Bytes that the transfers are spread over. */
const REGION_BYTES = 256 * MIB;
const REGION_BYTES_SMOKE = 4 * MIB;
/** Bytes around the region for the store's metadata. */
const METADATA_BYTES = 8 * MIB;
const CALL_BYTES = 4 * MIB;
const CALL_BYTES_FILE = MIB;

/** The parameters of a transfer benchmark. */
interface Transfer {
  readonly name: string;
  readonly direction: 'read' | 'write';
  readonly transferBytes: number;
  /** Random or sequential offsets. */
  readonly isRandom: boolean;
  readonly medium: Medium;
  /** A buffer of the memory device's arena (`allocateBuffer`), or a plain one. Files: always plain. */
  readonly buffer: 'arena' | 'plain';
  readonly target?: Target;
}

/** The store, the buffer and the offsets of both sides. */
interface Ground {
  readonly store: Blobstore;
  readonly blob: Blob;
  readonly channel: Channel;
  /** The caller's buffer. */
  readonly buffer: Buffer;
  /** The first block of each transfer in the blob. Their number is a power of two; each side cycles through them. */
  readonly blocks: Int32Array;
  readonly transferBytes: number;
  readonly operationsPerCall: number;
  readonly regionBytes: number;
}

export function transferBenchmark(transfer: Transfer): Benchmark {
  const { name, direction, transferBytes, isRandom, medium, buffer, target } = transfer;
  const order = isRandom ? 'random' : 'sequential';
  const bare = medium === 'memory' ? 'Buffer.copy' : `fs.${direction}Sync`;
  return {
    name,
    operation: `${direction} of ${transferBytes / KIB} KiB, ${order}, ${medium}, ${buffer} buffer`,
    baseline: bare,
    bytesPerOperation: transferBytes,
    target,
    prepare: (scale) => (medium === 'memory' ? prepareMemory(transfer, scale) : prepareFile(transfer, scale)),
  };
}

function prepareMemory(transfer: Transfer, scale: Scale): Workload {
  const regionBytes = sized(scale, REGION_BYTES, REGION_BYTES_SMOKE);
  const device = MemoryDevice.create({ sizeBytes: regionBytes + METADATA_BYTES });
  const { store, channel } = newStore(device, { clusterBytes: CLUSTER_BYTES });
  const blob = newBlob(store, { clusterCount: regionBytes / CLUSTER_BYTES });
  const { transferBytes, buffer } = transfer;
  const caller = buffer === 'arena' ? device.allocateBuffer(transferBytes) : new Uint8Array(transferBytes);
  const ground = layOut(transfer, store, blob, channel, caller, regionBytes, CALL_BYTES);
  const all = device.bytes();
  const region = Buffer.from(all.buffer, all.byteOffset + contiguousStart(store, blob), regionBytes);
  if (transfer.direction === 'read') return workload(ground, readSide(ground), bareCopyOut(ground, region));
  return workload(ground, writeSide(ground), bareCopyIn(ground, region));
}

function prepareFile(transfer: Transfer, scale: Scale): Workload {
  const regionBytes = sized(scale, REGION_BYTES, REGION_BYTES_SMOKE);
  const file = temporaryFile();
  const device = newFileDevice(file, regionBytes + METADATA_BYTES, transfer.medium === 'mapped');
  const { store, channel } = newStore(device, { clusterBytes: CLUSTER_BYTES });
  const blob = newBlob(store, { clusterCount: regionBytes / CLUSTER_BYTES });
  const caller = new Uint8Array(transfer.transferBytes);
  const ground = layOut(transfer, store, blob, channel, caller, regionBytes, CALL_BYTES_FILE);
  fillBlob(ground);
  const fd = fs.openSync(file.path, 'r+');
  fs.fsyncSync(fd); // so that the system does not write it during the measurement
  const start = contiguousStart(store, blob);
  const dispose = () => {
    fs.closeSync(fd);
    void device.close();
    file.dispose();
  };
  if (transfer.direction === 'read')
    return { ...workload(ground, readSide(ground), bareRead(ground, fd, start)), dispose };
  return { ...workload(ground, writeSide(ground), bareWrite(ground, fd, start)), dispose };
}

function layOut(
  { transferBytes, isRandom }: Transfer,
  store: Blobstore,
  blob: Blob,
  channel: Channel,
  caller: Uint8Array,
  regionBytes: number,
  callBytes: number,
): Ground {
  const places = regionBytes / transferBytes;
  const order = isRandom ? randomIndices(places, places) : Int32Array.from({ length: places }, (_, index) => index);
  return {
    store,
    blob,
    channel,
    buffer: Buffer.from(caller.buffer, caller.byteOffset, caller.byteLength),
    blocks: order.map((place) => place * (transferBytes / BLOCK_BYTES)),
    transferBytes,
    operationsPerCall: Math.min(callBytes / transferBytes, places),
    regionBytes,
  };
}

/**
 * Overwrites the whole blob. The file of a file device then has no holes there, and the bytes are in the page cache.
 */
function fillBlob({ channel, blob, regionBytes }: Ground): void {
  const piece = new Uint8Array(MIB);
  for (let at = 0; at < regionBytes; at += MIB) {
    fillRandomly(piece, at + 1);
    channel.writeSync(blob, piece, at / BLOCK_BYTES, MIB / BLOCK_BYTES);
  }
}

function workload(ground: Ground, subject: Side, baseline: Side): Workload {
  const reset = () => {
    fillBlob(ground);
    ground.buffer.fill(0);
  };
  return { operationsPerCall: ground.operationsPerCall, subject, baseline, sidesAgree: true, reset };
}

function readSide({ channel, blob, buffer, blocks, operationsPerCall, transferBytes }: Ground): Side {
  const blockCount = transferBytes / BLOCK_BYTES;
  const mask = blocks.length - 1;
  let next = 0;
  const run = () => {
    let sum = 0;
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const block = blocks[next++ & mask];
      channel.readSync(blob, buffer, block, blockCount);
      sum = (sum + buffer[block & (BLOCK_BYTES - 1)]) | 0;
    }
    return sum;
  };
  return { run };
}

function bareCopyOut({ buffer, blocks, operationsPerCall, transferBytes }: Ground, region: Buffer): Side {
  const mask = blocks.length - 1;
  let next = 0;
  const run = () => {
    let sum = 0;
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const block = blocks[next++ & mask];
      const position = block * BLOCK_BYTES;
      region.copy(buffer, 0, position, position + transferBytes);
      sum = (sum + buffer[block & (BLOCK_BYTES - 1)]) | 0;
    }
    return sum;
  };
  return { run };
}

function bareRead(ground: Ground, fd: number, start: number): Side {
  const { buffer, blocks, operationsPerCall, transferBytes } = ground;
  const mask = blocks.length - 1;
  let next = 0;
  const run = () => {
    let sum = 0;
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const block = blocks[next++ & mask];
      fs.readSync(fd, buffer, 0, transferBytes, start + block * BLOCK_BYTES);
      sum = (sum + buffer[block & (BLOCK_BYTES - 1)]) | 0;
    }
    return sum;
  };
  return { run };
}

function writeSide(ground: Ground): Side {
  const { channel, blob, buffer, blocks, operationsPerCall, transferBytes } = ground;
  const blockCount = transferBytes / BLOCK_BYTES;
  const mask = blocks.length - 1;
  let next = 0;
  const run = () => {
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const block = blocks[next++ & mask];
      buffer[block & (BLOCK_BYTES - 1)] = next;
      channel.writeSync(blob, buffer, block, blockCount);
    }
    return next;
  };
  return { run, digest: () => digestOfBlob(ground) };
}

function bareCopyIn(ground: Ground, region: Buffer): Side {
  const { buffer, blocks, operationsPerCall } = ground;
  const mask = blocks.length - 1;
  let next = 0;
  const run = () => {
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const block = blocks[next++ & mask];
      buffer[block & (BLOCK_BYTES - 1)] = next;
      buffer.copy(region, block * BLOCK_BYTES);
    }
    return next;
  };
  return { run, digest: () => digestOfBlob(ground) };
}

function bareWrite(ground: Ground, fd: number, start: number): Side {
  const { buffer, blocks, operationsPerCall, transferBytes } = ground;
  const mask = blocks.length - 1;
  let next = 0;
  const run = () => {
    for (let operation = 0; operation < operationsPerCall; operation++) {
      const block = blocks[next++ & mask];
      buffer[block & (BLOCK_BYTES - 1)] = next;
      fs.writeSync(fd, buffer, 0, transferBytes, start + block * BLOCK_BYTES);
    }
    return next;
  };
  return { run, digest: () => digestOfBlob(ground) };
}

/** A checksum of all bytes of the blob, read with another buffer. */
function digestOfBlob({ channel, blob, regionBytes }: Ground): number {
  const piece = new Uint8Array(MIB);
  const words = new Int32Array(piece.buffer);
  let digest = CHECKSUM_START;
  for (let at = 0; at < regionBytes; at += MIB) {
    channel.readSync(blob, piece, at / BLOCK_BYTES, MIB / BLOCK_BYTES);
    for (let word = 0; word < words.length; word++) digest = fold(digest, words[word]);
  }
  return digest;
}
