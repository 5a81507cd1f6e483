/** Changes of a blob's bytes, on any thread: each is drawn from a random sequence, reported, and executed. */

import type { Blob } from 'blobyard';
import { BlobstoreError } from 'blobyard';
import type { Random } from '../random.js';
import { putPattern } from './pattern.js';
import type { ClusterMap, DataOperation, Reporter } from './protocol.js';

/** The limits of lengths: mostly a few io units, and sometimes a few clusters. */
const UNITS_MAX = 5;
const UNIT_BYTES = 4096;
const CLUSTERS_MAX = 3;

export interface DataWork {
  readonly key: string;
  readonly blob: Blob;
  readonly clusterBytes: number;
  readonly random: Random;
  readonly reporter: Reporter;
  /** True: this thread can use the synchronous calls. */
  readonly hasSync: boolean;
}

/** Makes `count` changes, one after another. */
export async function changeInOrder(work: DataWork, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await change(work, draw(work));
}

/** Makes changes at once: those of `count` that do not overlap, and no trims, whose effect depends on allocation. */
export async function changeAtOnce(work: DataWork, count: number): Promise<void> {
  const drawn: DataOperation[] = [];
  for (let index = 0; index < count; index++) {
    const next = draw(work);
    const isApart = drawn.every(({ at, length }) => next.at + next.length <= at || at + length <= next.at);
    if (isApart && next.kind !== 'trim') drawn.push(next);
  }
  await Promise.all(drawn.map((operation) => change(work, operation)));
}

/** For each cluster, whether the blob has it itself. */
export function clusterMapOf(blob: Blob, clusterBytes: number): ClusterMap {
  let map = '';
  for (let at = 0; at < blob.sizeBytes; at += clusterBytes) map += blob.nextData(at) === at ? '1' : '0';
  return map;
}

function draw({ key, blob, clusterBytes, random }: DataWork): DataOperation {
  const size = blob.sizeBytes;
  const isLong = random.below(6) === 0;
  const isAligned = random.below(2) === 0;
  let length = 1 + random.below(isLong ? CLUSTERS_MAX * clusterBytes : UNITS_MAX * UNIT_BYTES);
  let at = random.below(size);
  if (isAligned) {
    at -= at % UNIT_BYTES;
    length += UNIT_BYTES - (length % UNIT_BYTES);
  }
  length = Math.min(length, size - at);
  const kind = random.below(10);
  if (kind === 0) return { kind: 'zero', key, at, length };
  if (kind === 1) return trimOf(key, blob, clusterBytes, at, length);
  return { kind: 'write', key, at, length, token: random.next() };
}

/** A trim. Every second one is of whole clusters, which may be freed. */
function trimOf(key: string, blob: DataWork['blob'], clusterBytes: number, at: number, length: number): DataOperation {
  const map = clusterMapOf(blob, clusterBytes);
  if (at % 2 === 0) return { kind: 'trim', key, at, length, map };
  return { kind: 'trim', key, at: at - (at % clusterBytes), length: clusterBytes, map };
}

async function change(work: DataWork, operation: DataOperation): Promise<void> {
  const { blob, random, hasSync } = work;
  const isSync = hasSync && random.below(2) === 0;
  await work.reporter.perform(operation, async () => {
    if (isSync && onThread(blob, operation)) return;
    await asPromise(blob, operation);
  });
}

/** Executes a change synchronously. Returns false if it would have to wait for this thread itself (EBUSY). */
function onThread(blob: DataWork['blob'], operation: DataOperation): boolean {
  const { at, length } = operation;
  try {
    if (operation.kind === 'zero') blob.writeZeroesSync(at, length);
    else if (operation.kind === 'trim') blob.trimSync(at, length);
    else blob.writeSync(bytesOf(operation), at);
    return true;
  } catch (error) {
    if (error instanceof BlobstoreError && error.code === 'EBUSY') return false;
    throw error;
  }
}

async function asPromise(blob: DataWork['blob'], operation: DataOperation): Promise<void> {
  const { at, length } = operation;
  if (operation.kind === 'zero') return blob.writeZeroes(at, length);
  if (operation.kind === 'trim') return blob.trim(at, length);
  const bytes = bytesOf(operation);
  if (operation.token % 4 !== 0) return blob.write(bytes, at);
  const cut = operation.token % (length + 1);
  return blob.writev([bytes.subarray(0, cut), bytes.subarray(cut)], at);
}

function bytesOf({ token, at, length }: Extract<DataOperation, { kind: 'write' }>): Uint8Array {
  const bytes = new Uint8Array(length);
  putPattern(bytes, 0, length, token, at);
  return bytes;
}
