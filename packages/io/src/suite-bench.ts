/** What the device suite's tests stand on: a fresh device for each, comparisons that say where, and bytes to write. */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';

/** The part of a test framework that the suite needs; vitest, jest and others have it. */
export interface SuiteTestApi {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  expect(actual: unknown, message?: string): { toBe(expected: unknown): unknown };
}

/** A device for one test. */
export interface SuiteDevice {
  /** Fresh: every block reads as zeroes. It has at least 64 blocks, can be written to, and is closed by the suite. */
  readonly device: BlockDevice;
  /** Takes away what else was made for it. */
  dispose?(): MaybePromise<void>;
}

export type DeviceFactory = () => MaybePromise<SuiteDevice>;

/** The blocks that the suite uses from the beginning of the device; it also uses the last ones. */
export const BLOCKS = 64;

/** A device under test, with a channel, and the means to compare. */
export interface Setting {
  readonly device: BlockDevice;
  readonly channel: DeviceChannel;
  readonly blockLength: number;
}

export class SuiteBench {
  readonly #factory: DeviceFactory;
  readonly #api: SuiteTestApi;

  constructor(factory: DeviceFactory, api: SuiteTestApi) {
    this.#factory = factory;
    this.#api = api;
  }

  /** A test on a fresh device. */
  case(name: string, body: (setting: Setting) => Promise<void>): void {
    this.#api.it(name, async () => {
      const { device, dispose } = await this.#factory();
      try {
        await body({ device, channel: device.openChannel(), blockLength: device.blockLengthBytes });
      } finally {
        await device.close();
        await dispose?.();
      }
    });
  }

  equal(actual: unknown, expected: unknown, message?: string): void {
    this.#api.expect(actual, message).toBe(expected);
  }

  sameBytes(actual: Uint8Array, expected: Uint8Array, message: string): void {
    this.equal(actual.byteLength, expected.byteLength, `${message}: length`);
    const different = actual.findIndex((byte, index) => byte !== expected[index]);
    this.equal(different, -1, `${message}: first byte that differs`);
  }

  /** The operation fails with the code, whether it throws or rejects. */
  async fails(code: string, operation: () => MaybePromise<void> | undefined, message: string): Promise<void> {
    let found: unknown = 'success';
    try {
      await operation();
    } catch (error) {
      found = (error as { code?: unknown }).code ?? error;
    }
    this.equal(found, code, message);
  }

  /** The blocks from the beginning of the device on. */
  async image({ channel, blockLength }: Setting, blocks = BLOCKS): Promise<Uint8Array> {
    const image = new Uint8Array(blocks * blockLength).fill(0xee);
    await channel.read(image, 0, 0, blocks);
    return image;
  }

  /** Fills the blocks that the suite uses, and answers what is there now. */
  async fill({ channel, blockLength }: Setting, seed: number): Promise<Uint8Array> {
    const content = pattern(BLOCKS * blockLength, seed);
    await channel.write(content, 0, 0, BLOCKS);
    return content;
  }
}

/** Bytes that differ from block to block and from seed to seed, none of them zero. */
export function pattern(lengthBytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, index) => 1 + ((index + 37 * (index >>> 8) + 101 * seed) % 255));
}

/** The bytes as a list of views: of the given lengths, and the rest. */
export function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const length of lengths) {
    parts.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  parts.push(bytes.subarray(offset));
  return parts;
}

export function growable(lengthBytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(lengthBytes, { maxByteLength: lengthBytes }), 0, lengthBytes);
}
