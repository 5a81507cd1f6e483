/**
 * Copies and zeroes shared memory at the speed of the C library.
 *
 * On a SharedArrayBuffer, JavaScript's `set`, `copyWithin` and `fill` go word by word, because other threads may read
 * it at the same time. WebAssembly's bulk instructions need not. They work on a `WebAssembly.Memory`, and only
 * WebAssembly code can execute them, so the small module below exports one function for each. It was written as bytes;
 * it has no other source. Where there is no WebAssembly (`node --jitless`), JavaScript's ways are used.
 */

import { BlobstoreError } from '@blobyard/core';
import { checkInteger } from '@blobyard/core/internal/argument-checks';

/** A shared `WebAssembly.Memory` (or, without WebAssembly, an object with a SharedArrayBuffer): its buffer is a SharedArrayBuffer, and it can be posted to other threads. */
export interface SharedWasmMemory {
  readonly buffer: ArrayBufferLike;
}

/**
 * Positions and lengths are in bytes of the memory, unsigned 32-bit. Pass them as signed 32-bit integers (`value | 0`),
 * which need no conversion. Both throw a `WebAssembly.RuntimeError` beyond the end of the memory.
 */
export interface BulkMemory {
  /** Copies bytes within the memory; the ranges may overlap. */
  copy(targetByte: number, sourceByte: number, lengthBytes: number): void;
  /** Sets bytes of the memory to the low 8 bits of `value`. */
  fill(targetByte: number, value: number, lengthBytes: number): void;
}

/** Bytes in a WebAssembly page, the unit of the size of a memory. */
export const WASM_PAGE_BYTES = 65536;

/** The largest memory, in bytes: 4 GiB, the range of 32-bit addresses. */
export const WASM_MEMORY_MAX_BYTES = 65536 * WASM_PAGE_BYTES;

const I32 = 0x7f;
const END = 0x0b;
const LOCAL_GET = 0x20;
const PUSH_ARGUMENTS = [LOCAL_GET, 0, LOCAL_GET, 1, LOCAL_GET, 2];
const MEMORY_COPY = [0xfc, 10, 0, 0]; // opcode, target memory 0, source memory 0
const MEMORY_FILL = [0xfc, 11, 0]; // opcode, memory 0
const NO_LOCALS = 0;
const FUNCTION = 0x00;
const MEMORY = 0x02;
const SHARED_WITH_MAXIMUM = 0x03;
const PAGES_MAX = [0x80, 0x80, 0x04]; // 65536 as LEB128

// biome-ignore format: a line for each part of the module
const MODULE_BYTES = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // "\0asm", version 1
  // Types: one, of three i32 to nothing.
  ...section(1, [1, 0x60, 3, I32, I32, I32, 0]),
  // Imports: "shared" "memory", a shared memory of 1 to 65536 pages: any size is accepted.
  ...section(2, [1, ...name('shared'), ...name('memory'), MEMORY, SHARED_WITH_MAXIMUM, 1, ...PAGES_MAX]),
  // Functions: two, both of type 0.
  ...section(3, [2, 0, 0]),
  // Exports: function 0 as "copy", function 1 as "fill".
  ...section(7, [2, ...name('copy'), FUNCTION, 0, ...name('fill'), FUNCTION, 1]),
  // Code: each function pushes its three arguments and executes one bulk instruction.
  ...section(10, [2, ...body(MEMORY_COPY), ...body(MEMORY_FILL)]),
]);

/** Lengths are LEB128 numbers. All lengths here are below 128, where LEB128 is the byte itself. */
function section(id: number, content: readonly number[]): number[] {
  return [id, content.length, ...content];
}

function name(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)];
}

function body(instruction: readonly number[]): number[] {
  const code = [NO_LOCALS, ...PUSH_ARGUMENTS, ...instruction, END];
  return [code.length, ...code];
}

/** The part of WebAssembly's JavaScript interface that is used here; Node's type definitions do not have it. */
interface WebAssemblyApi {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => SharedWasmMemory;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
}

/** Undefined under `--jitless`. */
const wasm = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly;

/** The compiled module of this thread; compiled on first use. */
let compiled: object | undefined;

/** Returns the two functions for a memory. They are for the calling thread only; each thread calls this itself. */
export function bulkMemory(memory: SharedWasmMemory): BulkMemory {
  if (wasm === undefined) return plainMemory(new Uint8Array(memory.buffer));
  compiled ??= new wasm.Module(MODULE_BYTES);
  return new wasm.Instance(compiled, { shared: { memory } }).exports as BulkMemory;
}

function plainMemory(bytes: Uint8Array): BulkMemory {
  return {
    copy(targetByte, sourceByte, lengthBytes) {
      bytes.copyWithin(targetByte >>> 0, sourceByte >>> 0, (sourceByte >>> 0) + (lengthBytes >>> 0));
    },
    fill(targetByte, value, lengthBytes) {
      bytes.fill(value, targetByte >>> 0, (targetByte >>> 0) + (lengthBytes >>> 0));
    },
  };
}

/**
 * Creates a shared memory of at least `sizeBytes` zeroes, rounded up to WebAssembly pages, 4 GiB at most. It never
 * grows, so `buffer` stays the same object. Pages take physical memory when they are first touched. Throws EINVAL for
 * an invalid size, ENOMEM when the address space cannot be reserved.
 */
export function createSharedMemory(sizeBytes: number): SharedWasmMemory {
  checkInteger('the size of a shared memory', sizeBytes, 0, WASM_MEMORY_MAX_BYTES);
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES);
  try {
    if (wasm !== undefined) return new wasm.Memory({ initial: pages, maximum: pages, shared: true });
    const maxByteLength = pages * WASM_PAGE_BYTES;
    return { buffer: new SharedArrayBuffer(maxByteLength, { maxByteLength }) }; // so that it begins at a page
  } catch (cause) {
    throw new BlobstoreError('ENOMEM', `cannot allocate ${sizeBytes} bytes of shared memory: ask for less`, { cause });
  }
}

/** True for a `WebAssembly.Memory` that is shared; without WebAssembly, for what `createSharedMemory` returns. */
export function isSharedMemory(value: unknown): value is SharedWasmMemory {
  try {
    const { buffer } = value as Partial<SharedWasmMemory>;
    return (wasm === undefined || value instanceof wasm.Memory) && buffer instanceof SharedArrayBuffer;
  } catch {
    return false; // it inherits from Memory without being one, or is a proxy
  }
}
