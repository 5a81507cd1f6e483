/** Finds external snapshots: calls the user's callback on the client's thread; other threads open what it returns. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import type { FindExternalSnapshot } from '../api/store.js';
import type { ExternalAnswer } from '../calls/service-events.js';
import { checkDevice } from '../devices/open-device.js';
import { type ShareableDevice, shareable } from '../devices/shareable-device.js';
import { toWire } from '../threads/wire-error.js';

/** The client's thread. */
export class ExternalFinder {
  readonly #find: FindExternalSnapshot | undefined;
  readonly #answer: (request: number, answer: ExternalAnswer) => void;
  /**
   * Devices that the user passed open, or that were opened for the user, by request. They are closed when the worker
   * has closed its own.
   */
  readonly #devices = new Map<number, BlockDevice>();

  constructor(find: FindExternalSnapshot | undefined, answer: (request: number, answer: ExternalAnswer) => void) {
    this.#find = find;
    this.#answer = answer;
  }

  /** Calls the user's callback, and answers the worker's request with the result or the error. */
  find(request: number, wanted: { blobId: bigint; snapshotId: Uint8Array }): void {
    this.#ask(wanted).then(
      (found) => {
        if (found?.device !== undefined) this.#devices.set(request, found.device);
        this.#answer(request, { spec: found?.spec ?? null });
      },
      (error: unknown) => this.#answer(request, { error: toWire(error) }),
    );
  }

  /** Closes the device of a request, which the worker no longer uses. */
  close(request: number): void {
    const device = this.#devices.get(request);
    this.#devices.delete(request);
    // An error does not concern the store, which has written nothing to this device.
    void (async () => device?.close())().catch(() => undefined);
  }

  /** The worker has ended: closes all devices. */
  async closeAll(): Promise<void> {
    const devices = [...this.#devices.values()];
    this.#devices.clear();
    await Promise.allSettled(devices.map(async (device) => device.close()));
  }

  async #ask(wanted: { blobId: bigint; snapshotId: Uint8Array }): Promise<ShareableDevice | undefined> {
    const { blobId, snapshotId } = wanted;
    if (this.#find === undefined)
      throw new BlobstoreError(
        'ENOTSUP',
        'the device of an external snapshot is needed: open the store with the option openExternalSnapshot',
      );
    const found = await this.#find({ blobId, snapshotId });
    return found === null ? undefined : shareable(checkDevice('what openExternalSnapshot found', found));
  }
}
