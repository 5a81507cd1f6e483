/**
 * The free list of transfers. A transfer that was given back holds nothing of its caller, using it is an error, and the
 * list keeps only a limited number.
 */

import { type ChannelHost, Geometry } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { OP, type Op, type Payload } from '../../../packages/core/dist/channel/operation.js';
import { FreeTransfers, type Transfer } from '../../../packages/core/dist/channel/transfer.js';
import { Transfers } from '../../../packages/core/dist/channel/transfers.js';

const UNIT = 512;
const geometry = new Geometry({
  blockLengthBytes: 512,
  ioUnitBytes: UNIT,
  clusterBytes: 4096,
  mdStartPage: 1,
  mdPageCount: 8,
});

function begun(free: FreeTransfers, op: Op, payload: Payload, offset: number, count: number): Transfer {
  const transfer = free.take();
  transfer.begin(op, { slot: 3, generation: 7 }, payload, 100, offset, count, false);
  return transfer;
}

describe('a transfer', () => {
  it('is divided into parts that each lie within one cluster', () => {
    const transfer = begun(new FreeTransfers(geometry, 4), OP.READ, new Uint8Array(0), 6, 12);
    const parts: number[][] = [];
    while (transfer.takePart()) {
      const { cluster, offset, count, bufferOffset, blockCount } = transfer;
      parts.push([cluster, offset, count, bufferOffset, blockCount, transfer.lbaIn(10)]);
    }
    expect(parts).toEqual([
      [0, 6, 2, 100, 2, 86],
      [1, 8, 8, 100 + 2 * UNIT, 8, 80],
      [2, 16, 2, 100 + 10 * UNIT, 2, 80],
    ]);
  });

  it('divides its scatter list at the same places', () => {
    const bytes = new Uint8Array(4 * UNIT);
    const buffers = [bytes.subarray(0, 3 * UNIT), bytes.subarray(3 * UNIT)];
    const options = { hint: 1 };
    const transfer = begun(new FreeTransfers(geometry, 4), OP.WRITEV, { buffers, options }, 7, 4);
    const lengths: number[][] = [];
    while (transfer.takePart()) {
      expect(transfer.options).toBe(options);
      lengths.push((transfer.buffers ?? []).map((buffer) => buffer.length));
    }
    expect(lengths).toEqual([[UNIT], [2 * UNIT, UNIT]]);
  });
});

describe('the free list', () => {
  it('returns the same transfers again, and keeps no more than its limit', () => {
    const free = new FreeTransfers(geometry, 2);
    const taken = [1, 2, 3].map((count) => begun(free, OP.UNMAP, undefined, 0, count));
    expect([free.madeCount, free.count]).toEqual([3, 0]);
    for (const transfer of taken) free.giveBack(transfer);
    expect([free.madeCount, free.count]).toEqual([3, 2]);
    const again = [free.take(), free.take()];
    expect(new Set([...again, taken[0], taken[1]]).size).toBe(2);
    expect(taken).not.toContain(free.take());
    expect([free.madeCount, free.count]).toEqual([4, 0]);
  });

  it('clears every reference to the caller’s objects', () => {
    const free = new FreeTransfers(geometry, 2);
    const [read, scattered] = [
      begun(free, OP.READ, new Uint8Array(UNIT), 0, 1),
      begun(free, OP.READV, { buffers: [new Uint8Array(UNIT)], options: { hint: 1 } }, 0, 1),
    ];
    for (const transfer of [read, scattered]) {
      transfer.takePart();
      expect(transfer.buffer ?? transfer.buffers).toBeDefined();
      free.giveBack(transfer);
      expect([transfer.buffer, transfer.buffers, transfer.options]).toEqual([undefined, undefined, undefined]);
      expect(transfer.isUnderWay).toBe(false);
    }
  });

  it('asserts against using a transfer that was given back, or giving it back again', () => {
    const host = { geometry, channelOpsMax: 2, device: { synchronous: true } } as unknown as ChannelHost;
    const transfers = new Transfers(host, {} as never, {} as never, {} as never);
    const free = new FreeTransfers(geometry, 2);
    const transfer = begun(free, OP.UNMAP, undefined, 0, 1);
    free.giveBack(transfer);
    expect(() => transfers.runPart(transfer)).toThrow('a transfer was used after it was given back');
    expect(() => free.giveBack(transfer)).toThrow('a transfer was given back twice');
    expect(free.count).toBe(1);
  });
});
