/**
 * A custom device in shared memory whose operations pass gates before they are executed. So a test can hold a thread in
 * the middle of an operation of the store.
 */

import { BlobstoreError, type BlockDevice, type DeviceChannel, type MaybePromise } from '@blobyard/core';
import { type CustomDeviceSpec, MemoryDevice } from '@blobyard/io';
import { Gate } from './gate.js';

export type GatedKind = 'read' | 'write' | 'unmap' | 'flush' | 'opening';

export type Gates = { readonly [kind in GatedKind]?: Gate };

export interface GateDeviceOptions {
  readonly memory: MemoryDevice['memory'];
  readonly gates: { readonly [kind in GatedKind]?: SharedArrayBuffer };
  /** True: the device is asynchronous, so that a held operation does not block its thread. */
  readonly isLater: boolean;
}

/** The spec of a device in `memory` with gates. */
export function gateDevice(memory: MemoryDevice['memory'], gates: Gates, isLater = false): CustomDeviceSpec {
  const buffers = Object.fromEntries(Object.entries(gates).map(([kind, gate]) => [kind, gate.buffer]));
  const options: GateDeviceOptions = { memory, gates: buffers, isLater };
  return { kind: 'custom', module: new URL('../../dist/threads/gate-device.js', import.meta.url).href, options };
}

export function openDevice(options: unknown): BlockDevice {
  const { gates } = options as GateDeviceOptions;
  if (gates.opening) new Gate(gates.opening).pass();
  return new GateDevice(options as GateDeviceOptions);
}

class GateDevice implements BlockDevice {
  readonly canCopy = false;
  readonly takesBytes = true;
  readonly synchronous: boolean;
  readonly blockLengthBytes: number;
  readonly #device: MemoryDevice;
  readonly #gates: Map<string, Gate>;

  constructor({ memory, gates, isLater }: GateDeviceOptions) {
    this.#device = new MemoryDevice({ memory });
    this.#gates = new Map(Object.entries(gates).map(([kind, buffer]) => [kind, new Gate(buffer)]));
    this.synchronous = !isLater;
    this.blockLengthBytes = this.#device.blockLengthBytes;
  }

  get blockCount(): number {
    return this.#device.blockCount;
  }

  openChannel(): DeviceChannel {
    const channel = this.#device.openChannel();
    return {
      read: (...args) => this.#through('read', () => channel.read(...args)),
      readv: (...args) => this.#through('read', () => channel.readv(...args)),
      write: (...args) => this.#through('write', () => channel.write(...args)),
      writev: (...args) => this.#through('write', () => channel.writev(...args)),
      readBytes: (...args) => this.#through('read', () => channel.readBytes?.(...args)),
      writeBytes: (...args) => this.#through('write', () => channel.writeBytes?.(...args)),
      writeZeroes: (...args) => this.#through('unmap', () => channel.writeZeroes(...args)),
      unmap: (...args) => this.#through('unmap', () => channel.unmap(...args)),
      flush: () => this.#through('flush', () => channel.flush()),
      close: () => channel.close(),
    };
  }

  close(): MaybePromise<void> {
    return this.#device.close();
  }

  #through(kind: GatedKind, operation: () => MaybePromise<void>): MaybePromise<void> {
    const gate = this.#gates.get(kind);
    if (!this.synchronous) return this.#throughLater(gate, operation);
    if (gate?.takeFailure()) throw failed(kind);
    gate?.pass();
    return operation();
  }

  async #throughLater(gate: Gate | undefined, operation: () => MaybePromise<void>): Promise<void> {
    await gate?.passLater();
    await operation();
  }
}

function failed(kind: GatedKind): BlobstoreError {
  return new BlobstoreError('EIO', `the test wants this ${kind} to fail`);
}
