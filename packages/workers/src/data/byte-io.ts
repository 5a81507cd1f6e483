/**
 * Reads and writes of byte ranges of one blob, in promise form. A range of whole io units is passed to the channel as
 * it is, in the same call. So is any other range if the device takes any bytes. On other devices the edges, which are
 * the io units that the range covers only partly, are read or written through arrays of their own (`byte-span.ts`).
 * Such writes are ordered (`write-order.ts`).
 */

import { type BlobRef, BlobstoreError, bufferGone, type Channel } from '@blobyard/core';
import { totalBytes } from './byte-ranges.js';
import { type ByteSpan, byteSpan, EdgedTransfer } from './byte-span.js';
import type { EdgeArrays } from './edge-arrays.js';
import { operationTurns } from './loop-turns.js';
import { type PartSizes, partEnd, partsOf, trimEnd } from './parts.js';
import type { RequestSlots } from './request-slots.js';
import type { WriteOrder, WriteTurn } from './write-order.js';

/** The promise-form methods of a channel. */
export type PromiseChannel = Pick<Channel, 'read' | 'readv' | 'write' | 'writev' | 'writeZeroes' | 'unmap'>;

/** The promise-form methods of a channel for byte ranges. */
export type ByteChannel = Pick<Channel, 'readBytes' | 'writeBytes'>;

/** The synchronous methods of a channel for byte ranges. */
export type SyncByteChannel = Pick<Channel, 'readBytesSync' | 'writeBytesSync'>;

/** The synchronous methods of a channel; those for byte ranges only if `takesBytes`. */
export type SyncChannel = SyncByteChannel &
  Pick<Channel, 'takesBytes' | 'readSync' | 'readvSync' | 'writeSync' | 'writevSync' | 'writeZeroesSync' | 'unmapSync'>;

/** What `SyncPort` and `BytePort` have in common. */
interface BlobPort {
  readonly order: WriteOrder;
  readonly edges: EdgeArrays;
  readonly unitBytes: number;
  /** Returns the open blob. Throws EBADF if it is closed. */
  blob(): BlobRef;
  /** For ranges that are not of whole io units. Absent if the device takes only blocks. */
  readonly bytes?: ByteChannel | SyncByteChannel;
  /** Returns true if the blob itself has allocated the cluster of an io unit. */
  isAllocated(unit: number): boolean;
}

/** Synchronous access to the data of one blob. */
export interface SyncPort extends BlobPort {
  readonly channel: SyncChannel;
  readonly bytes?: SyncByteChannel;
}

/** Promise-form access to the data of one blob. */
export interface BytePort extends BlobPort {
  readonly channel: PromiseChannel;
  readonly bytes?: ByteChannel;
  /**
   * Limits the requests that the channel gets at once, and lets the event loop run between them. Absent if the channel
   * queues requests itself.
   */
  readonly slots?: RequestSlots;
  /** The sizes of the parts of a long transfer, if the channel works on the calling thread. */
  readonly parts?: PartSizes;
  /** The same blob in synchronous form, if the channel finishes each request before it returns. */
  readonly atOnce?: SyncPort;
}

/** A port to a device that takes any bytes. */
type BytesPort<P extends BlobPort = BytePort> = P & { readonly bytes: NonNullable<P['bytes']> };

type PartedPort = BytePort & { readonly parts: PartSizes };

/** The most bytes of a quick transfer, which takes a few microseconds. */
export const QUICK_BYTES = 1 << 16;

/** Reads the bytes from `offset` on into the arrays of the list, in order. `length` is the sum of their lengths. */
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
  if (takesBytes(port, span, into)) {
    await readRange(port, span, into);
  } else if (hasEdges(span)) {
    const transfer = new EdgedTransfer(span, into, port.edges);
    await readUnits(port, transfer.moved, span.first, span.end);
    transfer.emptyEdges();
    transfer.release();
  } else {
    await readUnits(port, into, span.first, span.end);
  }
}

async function readRange(port: BytesPort, span: ByteSpan, into: readonly Uint8Array[]): Promise<void> {
  const { offset, length } = span;
  const target = into.length === 1 ? into[0] : new Uint8Array(length);
  await whenFree(port, unitsOf(span), () => port.bytes.readBytes(port.blob(), target, offset, length));
  if (into.length !== 1) handOut(target, into);
}

/** Writes the arrays of the list, in order, to the bytes from `offset` on. `length` is the sum of their lengths. */
export async function writeBytes(
  port: BytePort,
  data: readonly Uint8Array[],
  offset: number,
  length: number,
): Promise<void> {
  if (length === 0) return;
  const span = byteSpan(offset, length, port.unitBytes);
  if (takesBytes(port, span, data)) {
    const whole = joined(data);
    await inTurn(port, sharing(span), () => writeRange(port, span, whole));
    return;
  }
  await inTurn(port, span, (turn) => {
    return isLong(port, span) ? writeParts(port, span, data, turn) : writeSpan(port, span, data, turn);
  });
}

async function writeRange(port: BytesPort, span: ByteSpan, data: Uint8Array): Promise<void> {
  const parts = isLong(port, span)
    ? partsOf(span, [data], port.unitBytes, port.parts.transferUnits)
    : [{ span, list: [data] }];
  for (const part of parts) {
    const { offset, length } = part.span;
    await whenFree(port, unitsOf(part.span), () => port.bytes.writeBytes(port.blob(), part.list[0], offset, length));
  }
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

/** Makes a range of bytes read as zeroes, and allocates its clusters. */
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

/** Unmaps the whole io units of a range. Zeroes the edges if their cluster is allocated, which has the same effect. */
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

/**
 * True if a range has edges, and is passed to the channel as it is. The device must take any bytes. Several arrays are
 * joined into one first, so they are limited to `QUICK_BYTES` together.
 */
export function takesBytes<P extends BlobPort>(
  port: P,
  span: ByteSpan,
  list: readonly Uint8Array[],
): port is BytesPort<P> {
  return port.bytes !== undefined && hasEdges(span) && (list.length === 1 || span.length <= QUICK_BYTES);
}

/** Returns the span without its edges, for a write that does no read-modify-write: it needs no io unit exclusively. */
export function sharing(span: ByteSpan): ByteSpan {
  return { ...span, head: -1, tail: -1 };
}

/** The only array of a list, or a new one with the bytes of all. */
export function joined(list: readonly Uint8Array[]): Uint8Array {
  if (list.length === 1) return list[0];
  const all = new Uint8Array(totalBytes(list));
  let at = 0;
  for (const each of list) {
    all.set(each, at);
    at += each.length;
  }
  return all;
}

/** Copies bytes to the arrays of a list, one after another. */
export function handOut(from: Uint8Array, list: readonly Uint8Array[]): void {
  if (totalBytes(list) !== from.length) throw bufferGone();
  let at = 0;
  for (const each of list) {
    each.set(from.subarray(at, at + each.length));
    at += each.length;
  }
}

function unitsOf({ first, end }: ByteSpan): number {
  return end - first;
}

export function hasEdges(span: ByteSpan): boolean {
  return span.head >= 0 || span.tail >= 0;
}

/** Returns the io units of a span without its edges. `end` is exclusive. */
export function wholeUnits(span: ByteSpan): { first: number; end: number } {
  return { first: span.head >= 0 ? span.first + 1 : span.first, end: span.tail >= 0 ? span.end - 1 : span.end };
}

/** Returns the parts of a span that lie in its edges: up to two spans, each within one io unit. */
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

/** Zeroes the bytes of a span that lie in its edges, for each edge for which `isWanted` returns true. */
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
 * A read-modify-write: reads the edges, puts the new bytes into them, and writes. If the port has `atOnce`, all of this
 * happens in one call, before other code of this thread runs. So a synchronous write never finds that the edges are
 * held. If that is not possible (the blob is frozen, or its external snapshot is on an asynchronous device), everything
 * is done again in promise form, with the same result.
 *
 * If the device takes any bytes, only several arrays of more than `QUICK_BYTES` together are written in this way.
 */
async function writeEdged(port: BytePort, span: ByteSpan, data: readonly Uint8Array[], turn: WriteTurn): Promise<void> {
  if (takesBytes(port, span, data)) return writeRange(port, span, joined(data));
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

/** Returns false if the write is not done, because it would have to wait. */
function writeEdgedAtOnce(port: SyncPort, span: ByteSpan, data: readonly Uint8Array[]): boolean {
  try {
    writeEdgedSync(port, span, data);
    return true;
  } catch (error) {
    if (error instanceof BlobstoreError && (error.code === 'EBUSY' || error.code === 'ENOTSUP')) return false;
    throw error;
  }
}

/** The synchronous form of `writeEdged`. */
export function writeEdgedSync(port: SyncPort, span: ByteSpan, data: readonly Uint8Array[]): void {
  const { channel } = port;
  const blob = port.blob();
  if (takesBytes(port, span, data)) {
    port.bytes.writeBytesSync(blob, joined(data), span.offset, span.length);
    return;
  }
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

/** Returns true if a span is too long for one part. */
function isLong(port: BytePort, { first, end }: ByteSpan): port is PartedPort {
  return port.parts !== undefined && end - first > port.parts.transferUnits;
}

function whenFree(port: BytePort, unitCount: number, request: () => Promise<void>): Promise<void> {
  return port.slots === undefined ? request() : port.slots.run(unitCount * port.unitBytes <= QUICK_BYTES, request);
}
