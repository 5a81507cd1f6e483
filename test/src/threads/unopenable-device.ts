/**
 * A mortal device whose opening on other threads than the main one can be made to fail, by words in shared memory. Each
 * opening passes a gate first. This file is the module of a custom device.
 */

import { isMainThread } from 'node:worker_threads';
import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import { type CustomDeviceSpec, MemoryDevice } from '@blobyard/io';
import { Gate } from './gate.js';
import { openDevice as openMortal } from './mortal-device.js';

/** The outcomes of opening the device. */
export const OPENING = { WORKS: 0, FAILS: 1, ENDS_THREAD: 2 } as const;

interface UnopenableOptions {
  readonly memory: MemoryDevice['memory'];
  readonly control: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
}

export class UnopenableDevice {
  readonly memory: MemoryDevice;
  readonly spec: CustomDeviceSpec;
  readonly gate = new Gate();
  readonly #control = new Int32Array(new SharedArrayBuffer(8));

  constructor(sizeBytes: number) {
    this.memory = MemoryDevice.create({ sizeBytes, blockLengthBytes: 512 });
    const options: UnopenableOptions = {
      memory: this.memory.memory,
      control: this.#control.buffer as SharedArrayBuffer,
      gate: this.gate.buffer,
    };
    const module = new URL('../../dist/threads/unopenable-device.js', import.meta.url).href;
    this.spec = { kind: 'custom', module, options };
  }

  set opening(what: (typeof OPENING)[keyof typeof OPENING]) {
    Atomics.store(this.#control, 0, what);
  }

  /** The number of openings that have failed. */
  get failures(): number {
    return Atomics.load(this.#control, 1);
  }
}

export function openDevice(options: unknown): BlockDevice {
  const { memory, control, gate } = options as UnopenableOptions;
  if (!isMainThread) {
    new Gate(gate).pass();
    const words = new Int32Array(control);
    const opening = Atomics.load(words, 0);
    if (opening !== OPENING.WORKS) Atomics.add(words, 1, 1);
    if (opening === OPENING.ENDS_THREAD) process.exit(9);
    if (opening === OPENING.FAILS) throw new BlobstoreError('ENXIO', 'the test wants the device to be gone');
  }
  return openMortal({ memory });
}
