/**
 * Sends specs of external snapshots to the threads of channels. A spec can contain a `SharedArrayBuffer`, which cannot
 * be stored in shared memory. So specs are posted, by broadcast channels, because only these can be opened by name. The
 * receiver takes a message without its event loop.
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

/** Sends a spec to the thread that has a row. When this returns, the spec is in that thread's queue. */
export function sendSpec(store: string, row: number, spec: ExternalSpec): void {
  const channel = new BroadcastChannel(nameOf(store, row));
  channel.postMessage(spec);
  channel.close();
}

/** The receiving side, on the thread that has a row. */
export class SpecReceiver {
  readonly #channel: BroadcastChannel;

  constructor(store: string, row: number) {
    this.#channel = new BroadcastChannel(nameOf(store, row));
    asPort(this.#channel).unref();
  }

  /** Takes the spec that was sent for a slot. It must be the next one in the queue. */
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
