/**
 * Reads and writes of 512 bytes, and reads of 4 KiB into a new array: synchronous calls of the API, with a store in a
 * file, on the calling thread. The baseline does the same on the same file by the synchronous functions of `fs`.
 */

import fs from 'node:fs';
import { type Blob, createStore } from '@blobyard/workers';
import type { Benchmark, Scale, Side, Target, Workload } from '../benchmark.js';
import { contiguousStart, KIB, MIB, sized, temporaryFile } from '../fixtures.js';
import { randomIndices } from '../random.js';

const REGION_BYTES = 64 * MIB;
const REGION_BYTES_SMOKE = MIB;
const OPERATIONS = 256;

interface Place {
  readonly blob: Blob;
  readonly fd: number;
  /** The position of the blob's first byte in the file. */
  readonly start: number;
  readonly buffer: Uint8Array;
}

/** One transfer; returns a byte of it. */
type Transfer = (place: Place, offset: number) => number;

interface Compared {
  readonly name: string;
  readonly operation: string;
  readonly baseline: string;
  readonly bytes: number;
  readonly target: Target;
  readonly subject: Transfer;
  readonly bare: Transfer;
}

const TARGET = { ratioMin: 0.8 };

export const FILE_BYTES: readonly Benchmark[] = [
  compared({
    name: 'read-512-file',
    operation: 'read of 512 bytes by readSync, random; io units have 4 KiB',
    baseline: 'fs.readSync',
    bytes: 512,
    target: TARGET,
    subject: ({ blob, buffer }, offset) => blob.readSync(offset, buffer)[0],
    bare: ({ fd, start, buffer }, offset) => {
      fs.readSync(fd, buffer, 0, buffer.length, start + offset);
      return buffer[0];
    },
  }),
  compared({
    name: 'write-512-file',
    operation: 'write of 512 bytes by writeSync, random; io units have 4 KiB',
    baseline: 'fs.writeSync',
    bytes: 512,
    target: TARGET,
    subject: ({ blob, buffer }, offset) => {
      blob.writeSync(buffer, offset);
      return buffer[0];
    },
    bare: ({ fd, start, buffer }, offset) => {
      fs.writeSync(fd, buffer, 0, buffer.length, start + offset);
      return buffer[0];
    },
  }),
  compared({
    name: 'read-4k-file-new',
    operation: 'read of 4 KiB by readSync into a new array, random',
    baseline: 'fs.readSync into a new array',
    bytes: 4 * KIB,
    target: TARGET,
    subject: ({ blob }, offset) => blob.readSync(offset, 4 * KIB)[0],
    bare: ({ fd, start }, offset) => {
      const into = new Uint8Array(4 * KIB);
      fs.readSync(fd, into, 0, into.length, start + offset);
      return into[0];
    },
  }),
];

function compared({ name, operation, baseline, bytes, target, subject, bare }: Compared): Benchmark {
  const prepareBoth = (scale: Scale) => prepare(scale, bytes, subject, bare);
  return { name, operation, baseline, bytesPerOperation: bytes, target, prepare: prepareBoth };
}

async function prepare(scale: Scale, bytes: number, subject: Transfer, bare: Transfer): Promise<Workload> {
  const regionBytes = sized(scale, REGION_BYTES, REGION_BYTES_SMOKE);
  const file = temporaryFile();
  const device = { kind: 'file', path: file.path, create: true, sizeBytes: regionBytes + 8 * MIB } as const;
  const store = await createStore({ device, clusterSizeBytes: MIB, clearMethod: 'none' });
  const blob = await store.create({ sizeBytes: regionBytes });
  for (let at = 0; at < regionBytes; at += MIB) blob.writeSync(new Uint8Array(MIB).fill(at / MIB), at);
  const fd = fs.openSync(file.path, 'r+');
  fs.fsyncSync(fd); // so that the system does not write it during the measurement
  const start = contiguousStart(store.engine.blobstore, blob.engine);
  const place: Place = { blob, fd, start, buffer: new Uint8Array(bytes).fill(7) };
  const places = regionBytes / bytes;
  const order = randomIndices(places, places);
  return {
    operationsPerCall: OPERATIONS,
    subject: sideOf(place, order, subject),
    baseline: sideOf(place, order, bare),
    sidesAgree: true,
    dispose: async () => {
      fs.closeSync(fd);
      await store.close();
      file.dispose();
    },
  };
}

function sideOf(place: Place, order: Int32Array, transfer: Transfer): Side {
  const bytes = place.buffer.length;
  let next = 0;
  const run = () => {
    let sum = 0;
    for (let operation = 0; operation < OPERATIONS; operation++) {
      sum = (sum + transfer(place, order[next++ & (order.length - 1)] * bytes)) | 0;
    }
    return sum;
  };
  return { run };
}
