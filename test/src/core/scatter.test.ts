/** The parts of a scatter list: whole buffers are used without a copy, and no part becomes longer with its buffer. */

import { describe, expect, it } from 'vitest';
import { ScatterCursor } from '../../../packages/core/dist/channel/scatter.js';

function cursorOf(...buffers: Uint8Array[]): ScatterCursor {
  const cursor = new ScatterCursor();
  cursor.set(buffers);
  return cursor;
}

describe('a scatter cursor', () => {
  it('returns whole buffers themselves, and views of parts of the others', () => {
    const [first, second, third] = [new Uint8Array(10).fill(1), new Uint8Array(0), new Uint8Array(20).fill(3)];
    const cursor = cursorOf(first, second, third);
    const part = cursor.take(18);
    expect(part.length).toBe(2);
    expect(part[0]).toBe(first);
    expect(part.at(-1)).toEqual(new Uint8Array(8).fill(3));
    expect(part.at(-1)?.buffer).toBe(third.buffer);
    expect(cursor.take(12).map((each) => [each.byteOffset, each.length])).toEqual([[8, 12]]);
  });

  it.each([
    ['resizable', () => new ArrayBuffer(8, { maxByteLength: 32 } as never), 'resize'],
    ['growable', () => new SharedArrayBuffer(8, { maxByteLength: 32 } as never), 'grow'],
  ] as const)('returns a part that keeps its length when %s memory becomes longer', (_, make, longer) => {
    const memory = make() as unknown as Record<string, (bytes: number) => void> & ArrayBuffer;
    const buffer = new Uint8Array(memory);
    const [part] = cursorOf(buffer).take(8);
    memory[longer](32);
    expect(buffer.length).toBe(32);
    expect(part.length).toBe(8);
  });

  it('fails when a buffer became shorter', () => {
    const memory = new ArrayBuffer(16, { maxByteLength: 16 } as never);
    const cursor = cursorOf(new Uint8Array(memory));
    cursor.take(8);
    (memory as unknown as { resize(bytes: number): void }).resize(4);
    expect(() => cursor.take(8)).toThrow(/made smaller/);
  });
});
