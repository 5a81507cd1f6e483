/** The base of the device suite's tests: a new device for each test, comparisons, and test data. */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';

/** The part of a test framework that the suite needs. Vitest and Jest, among others, have it. */
export interface SuiteTestApi {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  expect(actual: unknown, message?: string): { toBe(expected: unknown): unknown };
}

/** A device for one test. */
export interface SuiteDevice {
  /** A new, writable device of at least 64 blocks that read as zeroes. The suite closes it. */
  readonly device: BlockDevice;
  /** Removes what else was made for the device, such as a file. Called after the device is closed. */
  dispose?(): MaybePromise<void>;
}

/** Makes a new device for one test. */
export type DeviceFactory = () => MaybePromise<SuiteDevice>;

/** How many blocks from the beginning of the device the suite uses; it also uses the last ones. */
export const BLOCKS = 64;

/** A device under test, with a channel. */
export interface Setting {
  readonly device: BlockDevice;
  readonly channel: DeviceChannel;
  readonly blockLength: number;
}

/** Registers tests, each on a new device, and compares contents. */
export class SuiteBench {
  readonly #factory: DeviceFactory;
  readonly #api: SuiteTestApi;

  constructor(factory: DeviceFactory, api: SuiteTestApi) {
    this.#factory = factory;
    this.#api = api;
  }

  /** Registers a test on a new device. */
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

  /** Expects that the operation fails with the code, by throwing or by rejecting. */
  async fails(code: string, operation: () => MaybePromise<void> | undefined, message: string): Promise<void> {
    let found: unknown = 'success';
    try {
      await operation();
    } catch (error) {
      found = (error as { code?: unknown }).code ?? error;
    }
    this.equal(found, code, message);
  }

  /** The contents of the first blocks of the device. */
  async image({ channel, blockLength }: Setting, blocks = BLOCKS): Promise<Uint8Array> {
    const image = new Uint8Array(blocks * blockLength).fill(0xee);
    await channel.read(image, 0, 0, blocks);
    return image;
  }

  /** Fills the blocks that the suite uses, and returns their new contents. */
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

/** Cuts the bytes into views of the given lengths, and one of the rest. */
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

/** An array of zeroes in growable shared memory, with an explicit length. */
export function growable(lengthBytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(lengthBytes, { maxByteLength: lengthBytes }), 0, lengthBytes);
}
