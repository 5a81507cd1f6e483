/** Rings of many shapes between real threads, with many random requests at once, against a model in plain memory. */

import { describe, expect, test } from 'vitest';
import { Random } from '../random.js';
import { ANY_BLOB, RingBench } from './ring-bench.js';
import { type Answers, GATE, PLAIN_UNIT_BYTES } from './ring-gates.js';

interface Shape {
  entries: number;
  workers: Answers[];
  poolBytes: number;
  actors: number;
}

const SHAPES: Shape[] = [
  { entries: 1, workers: ['mixed'], poolBytes: 16_384, actors: 6 },
  { entries: 2, workers: ['mixed', 'slow'], poolBytes: 16_384, actors: 8 },
  { entries: 8, workers: ['slow'], poolBytes: 32_768, actors: 16 },
  { entries: 8, workers: ['now', 'promises', 'mixed'], poolBytes: 65_536, actors: 24 },
  { entries: 256, workers: ['mixed', 'mixed'], poolBytes: 1 << 20, actors: 40 },
];
const SEEDS = [1, 2, 3];
const ROUNDS = 60;
const UNITS_PER_ACTOR = 100;
const MEMORY_BYTES = UNITS_PER_ACTOR * PLAIN_UNIT_BYTES;

describe.each(SHAPES)('$actors actors, $entries entries, $workers, pool of $poolBytes', (shape) => {
  test.each(SEEDS)('seed %d', async (seed) => {
    const bench = new RingBench({ entries: shape.entries, poolBytes: shape.poolBytes });
    const workers = shape.workers.map((answers) => bench.add({ answers }));
    const actors = Array.from({ length: shape.actors }, (_, index) => new Actor(bench, index, seed * 1000 + index));
    await Promise.all(actors.map((actor) => actor.play()));
    expect(bench.client.inFlight).toBe(0);
    for (const { gates } of workers) {
      expect(gates[GATE.UNDER_WAY]).toBe(0);
      expect(gates[GATE.MOST]).toBeLessThanOrEqual(shape.entries);
    }
  });
});

/** A source of random requests. It has a part of the medium for itself, and a model of that part. */
class Actor {
  readonly #bench: RingBench;
  readonly #first: number;
  readonly #random: Random;
  readonly #model = new Uint8Array(MEMORY_BYTES);
  readonly #shared = new Uint8Array(new SharedArrayBuffer(MEMORY_BYTES + 8), 8);
  readonly #growing = new SharedArrayBuffer(PLAIN_UNIT_BYTES, { maxByteLength: MEMORY_BYTES });

  constructor(bench: RingBench, index: number, seed: number) {
    this.#bench = bench;
    this.#first = index * UNITS_PER_ACTOR;
    this.#random = new Random(seed);
  }

  async play(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      const start = this.#below(UNITS_PER_ACTOR);
      const count = this.#below(UNITS_PER_ACTOR - start + 1);
      const choice = this.#below(10);
      if (choice < 3) await this.#write(start, count);
      else if (choice < 4) await this.#clear(start, count);
      else await this.#readMany(start, count);
    }
    await this.#readMany(0, UNITS_PER_ACTOR);
  }

  async #write(start: number, count: number): Promise<void> {
    const { client } = this.#bench;
    const buffers = this.#buffers(count);
    const at = start * PLAIN_UNIT_BYTES;
    for (const buffer of buffers) for (let byte = 0; byte < buffer.length; byte++) buffer[byte] = this.#below(256);
    const way = buffers.length === 1 ? this.#below(3) : 0;
    const skipped = way === 1 ? this.#below(Math.min(PLAIN_UNIT_BYTES, buffers[0].length + 1)) : 0;
    if (way === 0) await client.writev(ANY_BLOB, buffers, this.#first + start, count);
    else if (way === 1) {
      const place = this.#first * PLAIN_UNIT_BYTES + at + skipped;
      await client.writeBytes(ANY_BLOB, buffers[0], place, buffers[0].length - skipped, skipped);
    } else await client.write(ANY_BLOB, buffers[0], this.#first + start, count);
    this.#model.set(Buffer.concat(buffers).subarray(skipped), at + skipped);
  }

  async #clear(start: number, count: number): Promise<void> {
    const { client } = this.#bench;
    if (this.#below(2) === 0) await client.unmap(ANY_BLOB, this.#first + start, count);
    else await client.writeZeroes(ANY_BLOB, this.#first + start, count);
    this.#model.fill(0, start * PLAIN_UNIT_BYTES, (start + count) * PLAIN_UNIT_BYTES);
  }

  /** Several reads at once, of buffers that do not overlap. */
  async #readMany(start: number, count: number): Promise<void> {
    const { client } = this.#bench;
    const reads = Array.from({ length: 1 + this.#below(4) }, async (_, read) => {
      const buffers = read === 0 ? this.#buffers(count) : [new Uint8Array(count * PLAIN_UNIT_BYTES)];
      for (const buffer of buffers) buffer.fill(0xee);
      if (buffers.length !== 1) await client.readv(ANY_BLOB, buffers, this.#first + start, count);
      else if (this.#below(2) === 0) await client.read(ANY_BLOB, buffers[0], this.#first + start, count);
      else await this.#readBytes(buffers[0], start);
      const wanted = this.#model.subarray(start * PLAIN_UNIT_BYTES, (start + count) * PLAIN_UNIT_BYTES);
      expect(Buffer.compare(Buffer.concat(buffers), wanted)).toBe(0);
    });
    await Promise.all(reads);
  }

  /** Fills the buffer by two reads of bytes. */
  async #readBytes(buffer: Uint8Array, start: number): Promise<void> {
    const { client } = this.#bench;
    const place = (this.#first + start) * PLAIN_UNIT_BYTES;
    const cut = this.#below(buffer.length + 1);
    await Promise.all([
      client.readBytes(ANY_BLOB, buffer, place, cut),
      client.readBytes(ANY_BLOB, buffer, place + cut, buffer.length - cut, cut),
    ]);
  }

  /** `count` units of memory of a random kind, in one or several buffers. */
  #buffers(count: number): Uint8Array[] {
    const bytes = count * PLAIN_UNIT_BYTES;
    const kind = this.#below(6);
    if (kind === 0) return [new Uint8Array(bytes)];
    if (kind === 1) return [this.#shared.subarray(0, bytes)];
    if (kind === 2) return [new Uint8Array(this.#grown(bytes), 0, bytes)];
    if (kind === 3) return this.#cut(new Uint8Array(bytes));
    if (kind === 4) return this.#cut(this.#shared.subarray(0, bytes));
    const half = Math.floor(bytes / 2);
    return [...this.#cut(this.#shared.subarray(0, half)), ...this.#cut(new Uint8Array(bytes - half))];
  }

  #cut(buffer: Uint8Array): Uint8Array[] {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < buffer.length; ) {
      const length = Math.min(buffer.length - at, this.#below(500));
      parts.push(buffer.subarray(at, at + length));
      at += length;
    }
    return parts;
  }

  #grown(bytes: number): SharedArrayBuffer {
    if (this.#growing.byteLength < bytes) this.#growing.grow(bytes);
    return this.#growing;
  }

  #below(limit: number): number {
    return this.#random.below(limit);
  }
}
