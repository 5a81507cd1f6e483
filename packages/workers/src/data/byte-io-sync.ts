/** Synchronous reads and writes of byte ranges of one blob. Otherwise the same as `byte-io.ts`. */

import {
  edgeSpans,
  handOut,
  hasEdges,
  type SyncPort,
  sharing,
  takesBytes,
  wholeUnits,
  writeEdgedSync,
} from './byte-io.js';
import { type ByteSpan, byteSpan, EdgedTransfer } from './byte-span.js';

export function readBytesSync(port: SyncPort, into: readonly Uint8Array[], offset: number, length: number): void {
  if (length === 0) return;
  const { channel, unitBytes } = port;
  const blob = port.blob();
  const span = byteSpan(offset, length, unitBytes);
  const count = span.end - span.first;
  if (takesBytes(port, span, into)) {
    const target = into.length === 1 ? into[0] : new Uint8Array(length);
    port.bytes.readBytesSync(blob, target, offset, length);
    if (into.length !== 1) handOut(target, into);
  } else if (hasEdges(span)) {
    const transfer = new EdgedTransfer(span, into, port.edges);
    channel.readvSync(blob, transfer.moved, span.first, count);
    transfer.emptyEdges();
    transfer.release();
  } else if (into.length === 1) {
    channel.readSync(blob, into[0], span.first, count);
  } else {
    channel.readvSync(blob, into, span.first, count);
  }
}

export function writeBytesSync(port: SyncPort, data: readonly Uint8Array[], offset: number, length: number): void {
  if (length === 0) return;
  const span = byteSpan(offset, length, port.unitBytes);
  port.order.requireNoneHeld(takesBytes(port, span, data) ? sharing(span) : span);
  if (hasEdges(span)) writeEdgedSync(port, span, data);
  else if (data.length === 1) port.channel.writeSync(port.blob(), data[0], span.first, span.end - span.first);
  else port.channel.writevSync(port.blob(), data, span.first, span.end - span.first);
}

export function zeroBytesSync(port: SyncPort, offset: number, length: number): void {
  if (length === 0) return;
  const span = spanToWrite(port, offset, length);
  zeroEdges(port, span, () => true);
  const { first, end } = wholeUnits(span);
  if (first < end) port.channel.writeZeroesSync(port.blob(), first, end - first);
}

export function trimBytesSync(port: SyncPort, offset: number, length: number): void {
  if (length === 0) return;
  const span = spanToWrite(port, offset, length);
  zeroEdges(port, span, (unit) => port.isAllocated(unit));
  const { first, end } = wholeUnits(span);
  if (first < end) port.channel.unmapSync(port.blob(), first, end - first);
}

function zeroEdges(port: SyncPort, span: ByteSpan, isWanted: (unit: number) => boolean): void {
  for (const edge of edgeSpans(span, port.unitBytes)) {
    if (isWanted(edge.first)) writeEdgedSync(port, edge, [new Uint8Array(edge.length)]);
  }
}

function spanToWrite(port: SyncPort, offset: number, length: number): ByteSpan {
  const span = byteSpan(offset, length, port.unitBytes);
  port.order.requireNoneHeld(port.bytes === undefined ? span : sharing(span));
  return span;
}
