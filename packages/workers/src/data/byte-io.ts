/**
 * Reads and writes of one blob in bytes, in the form of promises. Ranges of whole io units go to the channel as they are,
 * in the same call; of others the edges take a detour (`byte-span.ts`), in order (`write-order.ts`).
 */

import { type BlobRef, BlobstoreError, type Channel } from '@blobyard/core';
import { type ByteSpan, byteSpan, EdgedTransfer } from './byte-span.js';
import type { EdgeArrays } from './edge-arrays.js';
import { operationTurns } from './loop-turns.js';
import { type PartSizes, partEnd, partsOf, trimEnd } from './parts.js';
import type { RequestSlots } from './request-slots.js';
import type { WriteOrder, WriteTurn } from './write-order.js';

/** What is asked of a channel in the form of promises. */
export type PromiseChannel = Pick<Channel, 'read' | 'readv' | 'write' | 'writev' | 'writeZeroes' | 'unmap'>;

/** What is asked of a channel that works on the calling thread. */
export type SyncChannel = Pick<
  Channel,
  'readSync' | 'readvSync' | 'writeSync' | 'writevSync' | 'writeZeroesSync' | 'unmapSync'
>;

/** What the ways to one blob's data have in common. */
interface BlobPort {
  readonly order: WriteOrder;
  readonly edges: EdgeArrays;
  readonly unitBytes: number;
  /** The open blob. Throws EBADF when it is closed. */
  blob(): BlobRef;
  /** True when the cluster of an io unit is the blob's own. */
  isAllocated(unit: number): boolean;
}

/** The way to one blob's data on the calling thread. */
export interface SyncPort extends BlobPort {
  readonly channel: SyncChannel;
}

/** The way to one blob's data in the form of promises. */
export interface BytePort extends BlobPort {
  readonly channel: PromiseChannel;
  /** Where requests wait that would be too many for the channel, and for their turn; absent: it has them wait itself. */
  readonly slots?: RequestSlots;
  /** How much is moved at once, where the channel works on the calling thread. */
  readonly parts?: PartSizes;
  /** Where the channel finishes each request before it returns: the same on the calling thread. */
  readonly atOnce?: SyncPort;
}

type PartedPort = BytePort & { readonly parts: PartSizes };

/** Bytes of a transfer that takes some microseconds. */
export const QUICK_BYTES = 1 << 16;

/** Fills arrays, in the order of the list, with the bytes from `offset` on; `length` is what they hold together. */
export function readBytes(port: BytePort, into: readonly Uint8Array[], offset: number, length: number): Promise<void> {
  if (length === 0) return Promise.resolve();
  const span = byteSpan(offset, length, port.unitBytes);
  return isLong(port, span) ? readParts(port, span, into) : readSpan(port, span, into);
}

async function readParts(port: PartedPort, span: ByteSpan, into: readonly Uint8Array[]): Promise<void> {
  for (const part of partsOf(span, into, port.unitBytes, port.parts.transferUnits)) {
    await readSpan(port, part.span, part.list);
  }
}

async function readSpan(port: BytePort, span: ByteSpan, into: readonly Uint8Array[]): Promise<void> {
  if (hasEdges(span)) {
    const transfer = new EdgedTransfer(span, into, port.edges);
    await readUnits(port, transfer.moved, span.first, span.end);
    transfer.emptyEdges();
    transfer.release();
  } else {
    await readUnits(port, into, span.first, span.end);
  }
}

/** Writes arrays, in the order of the list, to the bytes from `offset` on; `length` is what they hold together. */
export async function writeBytes(
  port: BytePort,
  data: readonly Uint8Array[],
  offset: number,
  length: number,
): Promise<void> {
  if (length === 0) return;
  const span = byteSpan(offset, length, port.unitBytes);
  await inTurn(port, span, (turn) => {
    return isLong(port, span) ? writeParts(port, span, data, turn) : writeSpan(port, span, data, turn);
  });
}

async function writeParts(
  port: PartedPort,
  span: ByteSpan,
  data: readonly Uint8Array[],
  turn: WriteTurn,
): Promise<void> {
  for (const part of partsOf(span, data, port.unitBytes, port.parts.transferUnits)) {
    await writeSpan(port, part.span, part.list, turn);
  }
}

function writeSpan(port: BytePort, span: ByteSpan, data: readonly Uint8Array[], turn: WriteTurn): Promise<void> {
  return hasEdges(span) ? writeEdged(port, span, data, turn) : writeUnits(port, data, span.first, span.end);
}

export async function zeroBytes(port: BytePort, offset: number, length: number): Promise<void> {
  if (length === 0) return;
  const span = byteSpan(offset, length, port.unitBytes);
  await inTurn(port, span, async (turn) => {
    await changeEdges(port, span, turn, () => true);
    const { first, end } = wholeUnits(span);
    const { parts } = port;
    for (let at = first; at < end; ) {
      const from = at;
      at = parts === undefined ? end : partEnd(from, end, parts.transferUnits);
      await whenFree(port, at - from, () => port.channel.writeZeroes(port.blob(), from, at - from));
    }
  });
}

/** Unmaps whole io units; edges are zeroed where their cluster is allocated, as unmapping would. */
export async function trimBytes(port: BytePort, offset: number, length: number): Promise<void> {
  if (length === 0) return;
  const span = byteSpan(offset, length, port.unitBytes);
  await inTurn(port, span, async (turn) => {
    await changeEdges(port, span, turn, (unit) => port.isAllocated(unit));
    const { first, end } = wholeUnits(span);
    const { parts } = port;
    for (let at = first; at < end; ) {
      const from = at;
      at = parts === undefined ? end : trimEnd(parts, from, end, port.isAllocated);
      await whenFree(port, at - from, () => port.channel.unmap(port.blob(), from, at - from));
    }
  });
}

export function hasEdges(span: ByteSpan): boolean {
  return span.head >= 0 || span.tail >= 0;
}

/** The io units of a span that are not edges of it. */
export function wholeUnits(span: ByteSpan): { first: number; end: number } {
  return { first: span.head >= 0 ? span.first + 1 : span.first, end: span.tail >= 0 ? span.end - 1 : span.end };
}

/** The spans of bytes in the edges of a span: up to two, each within one io unit. */
export function edgeSpans(span: ByteSpan, unitBytes: number): ByteSpan[] {
  return [span.head, span.tail]
    .filter((unit) => unit >= 0)
    .map((unit) => {
      const from = Math.max(span.offset, unit * unitBytes);
      const to = Math.min(span.offset + span.length, (unit + 1) * unitBytes);
      return byteSpan(from, to - from, unitBytes);
    });
}

async function inTurn(port: BytePort, span: ByteSpan, write: (turn: WriteTurn) => Promise<void>): Promise<void> {
  const { order } = port;
  const turn = order.enter(span);
  try {
    const ready = order.whenReady(turn);
    if (ready !== undefined) await ready;
    await write(turn);
  } finally {
    order.leave(turn);
  }
}

/** Zeroes the bytes of a span that lie in its edges, where `isWanted`. */
async function changeEdges(
  port: BytePort,
  span: ByteSpan,
  turn: WriteTurn,
  isWanted: (unit: number) => boolean,
): Promise<void> {
  for (const edge of edgeSpans(span, port.unitBytes)) {
    if (isWanted(edge.first)) await writeEdged(port, edge, [new Uint8Array(edge.length)], turn);
  }
}

/**
 * Reads the edges, puts the bytes in, and writes. On a synchronous device this all happens in one go, before anyone else on
 * this thread gets to run: then a synchronous write never finds the edges held. Where that is not to be had (a frozen blob,
 * something asynchronous behind it), everything is done again as promises; it ends with the same bytes.
 */
async function writeEdged(port: BytePort, span: ByteSpan, data: readonly Uint8Array[], turn: WriteTurn): Promise<void> {
  const { atOnce } = port;
  if (atOnce !== undefined) {
    const begin = () => writeEdgedAtOnce(atOnce, span, data);
    if (operationTurns.tryPass(span.length <= QUICK_BYTES) ? begin() : await operationTurns.later(begin)) return;
  }
  const transfer = new EdgedTransfer(span, data, port.edges);
  const { head, tail } = transfer;
  port.order.holdEdges(turn);
  const reads = [
    head && readUnits(port, [head], span.head, span.head + 1),
    tail && readUnits(port, [tail], span.tail, span.end),
  ];
  await Promise.all(reads);
  transfer.fillEdges();
  await writeUnits(port, transfer.moved, span.first, span.end);
  transfer.release();
}

/** Answers whether it is done: not if it would have had to wait. */
function writeEdgedAtOnce(port: SyncPort, span: ByteSpan, data: readonly Uint8Array[]): boolean {
  try {
    writeEdgedSync(port, span, data);
    return true;
  } catch (error) {
    if (error instanceof BlobstoreError && (error.code === 'EBUSY' || error.code === 'ENOTSUP')) return false;
    throw error;
  }
}

/** Reads the edges, puts the bytes in, and writes, on the calling thread. */
export function writeEdgedSync(port: SyncPort, span: ByteSpan, data: readonly Uint8Array[]): void {
  const { channel } = port;
  const blob = port.blob();
  const transfer = new EdgedTransfer(span, data, port.edges);
  const { head, tail } = transfer;
  if (head) channel.readSync(blob, head, span.head, 1);
  if (tail) channel.readSync(blob, tail, span.tail, 1);
  transfer.fillEdges();
  channel.writevSync(blob, transfer.moved, span.first, span.end - span.first);
  transfer.release();
}

function readUnits(port: BytePort, into: readonly Uint8Array[], first: number, end: number): Promise<void> {
  const { channel } = port;
  const count = end - first;
  if (into.length === 1) return whenFree(port, count, () => channel.read(port.blob(), into[0], first, count));
  return whenFree(port, count, () => channel.readv(port.blob(), into, first, count));
}

function writeUnits(port: BytePort, data: readonly Uint8Array[], first: number, end: number): Promise<void> {
  const { channel } = port;
  const count = end - first;
  if (data.length === 1) return whenFree(port, count, () => channel.write(port.blob(), data[0], first, count));
  return whenFree(port, count, () => channel.writev(port.blob(), data, first, count));
}

/** More than is moved at once. */
function isLong(port: BytePort, { first, end }: ByteSpan): port is PartedPort {
  return port.parts !== undefined && end - first > port.parts.transferUnits;
}

function whenFree(port: BytePort, unitCount: number, request: () => Promise<void>): Promise<void> {
  return port.slots === undefined ? request() : port.slots.run(unitCount * port.unitBytes <= QUICK_BYTES, request);
}
