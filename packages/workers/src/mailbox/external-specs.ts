/**
 * Specs of external snapshots on their way to the threads of channels. They can hold memory, which shared memory cannot: so they
 * are posted, by broadcast channels, the only ones that can be had by a name. The receiver takes a message without its event loop.
 */

import { BroadcastChannel, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { asPort } from './call-port.js';

interface ExternalSpec {
  /** The external clone's blob slot. */
  readonly slot: number;
  readonly spec: DeviceSpec;
}

/** Sends a spec to the thread that has a row; it is there when this returns. */
export function sendSpec(store: string, row: number, spec: ExternalSpec): void {
  const channel = new BroadcastChannel(nameOf(store, row));
  channel.postMessage(spec);
  channel.close();
}

/** The side of the thread that has a row. */
export class SpecReceiver {
  readonly #channel: BroadcastChannel;

  constructor(store: string, row: number) {
    this.#channel = new BroadcastChannel(nameOf(store, row));
    asPort(this.#channel).unref();
  }

  /** Takes the spec that has been sent for a slot. */
  take(slot: number): DeviceSpec {
    const received: { message: ExternalSpec } | undefined = receiveMessageOnPort(asPort(this.#channel));
    assert(received?.message.slot === slot, 'the spec of an external snapshot has not come with its answer');
    return received.message.spec;
  }

  close(): void {
    this.#channel.close();
  }
}

function nameOf(store: string, row: number): string {
  return `${store} externals ${row}`;
}
