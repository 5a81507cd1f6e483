/**
 * Copying and zeroing of shared memory at the speed of the C library.
 *
 * JavaScript's own ways (`set`, `copyWithin`, `fill`) go word by word on a SharedArrayBuffer, because another thread
 * may look at it meanwhile. The bulk instructions of WebAssembly make no such promise; they need a memory of
 * WebAssembly's, and a function that executes them. The module below is that function, twice. It has no text source:
 * its bytes are the source.
 */

import { BlobstoreError } from '@blobyard/core';
import { checkInteger } from './option-checks.js';

/** A shared `WebAssembly.Memory`: its buffer is a SharedArrayBuffer, and it can be posted to other threads. */
export interface SharedWasmMemory {
  readonly buffer: ArrayBufferLike;
}

/** Positions and lengths are unsigned 32-bit bytes of the memory; as `number | 0` they need no conversion. */
export interface BulkMemory {
  /** Copies bytes within the memory; the ranges may overlap. */
  copy(targetByte: number, sourceByte: number, lengthBytes: number): void;
  /** Sets bytes of the memory to the low 8 bits of `value`. */
  fill(targetByte: number, value: number, lengthBytes: number): void;
}

/** Bytes in a page of WebAssembly, the unit in which its memory is measured. */
export const WASM_PAGE_BYTES = 65536;

/** The largest memory that 32-bit addresses reach: 4 GiB. */
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
  // Imports: "shared" "memory", a shared memory of 1 to 65536 pages, which fits every memory there is.
  ...section(2, [1, ...name('shared'), ...name('memory'), MEMORY, SHARED_WITH_MAXIMUM, 1, ...PAGES_MAX]),
  // Functions: two, both of type 0.
  ...section(3, [2, 0, 0]),
  // Exports: function 0 as "copy", function 1 as "fill".
  ...section(7, [2, ...name('copy'), FUNCTION, 0, ...name('fill'), FUNCTION, 1]),
  // Code: each function pushes its three arguments and executes one bulk instruction.
  ...section(10, [2, ...body(MEMORY_COPY), ...body(MEMORY_FILL)]),
]);

/** Lengths are LEB128 numbers, which below 128 are the byte itself; nothing here is longer. */
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

/** The part of WebAssembly's JavaScript interface that is used here; Node's own types leave it out. */
interface WebAssemblyApi {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => SharedWasmMemory;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
}

const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;

/** Compiled when first needed, once in each thread. */
let compiled: object | undefined;

/** Binds the two functions to a memory, for the calling thread. */
export function bulkMemory(memory: SharedWasmMemory): BulkMemory {
  compiled ??= new Module(MODULE_BYTES);
  return new Instance(compiled, { shared: { memory } }).exports as BulkMemory;
}

/**
 * A shared memory of at least `sizeBytes` zeroes, 4 GiB at most, that never grows, so that its buffer stays the same
 * object. The system gives it real memory as pages are first touched. Throws EINVAL for more, ENOMEM when there is no room even for its
 * addresses.
 */
export function createSharedMemory(sizeBytes: number): SharedWasmMemory {
  checkInteger('the size of a shared memory', sizeBytes, 0, WASM_MEMORY_MAX_BYTES);
  const pages = Math.ceil(sizeBytes / WASM_PAGE_BYTES);
  try {
    return new Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new BlobstoreError('ENOMEM', `no room for a shared memory of ${sizeBytes} bytes`, { cause });
  }
}

/** True for a `WebAssembly.Memory` that is shared. */
export function isSharedMemory(value: unknown): value is SharedWasmMemory {
  try {
    return value instanceof Memory && value.buffer instanceof SharedArrayBuffer;
  } catch {
    return false; // it merely inherits from Memory, or is a proxy
  }
}
