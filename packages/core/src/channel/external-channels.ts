/**
 * The channels to the devices behind external clones, of one channel of the store: one for each such blob, opened on
 * first use.
 */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import type { MaybePromise } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { ChannelHost } from './host.js';

/** A device behind an external clone, and the open channel to it. */
export interface ExternalChannel {
  device: BlockDevice;
  channel: DeviceChannel;
}

/** The channels to devices behind external clones. */
export class ExternalChannels {
  readonly #host: ChannelHost;
  readonly #open = new Map<number, ExternalChannel>();

  constructor(host: ChannelHost) {
    this.#host = host;
  }

  /**
   * The channel to the device behind the external clone in a slot. Throws (or rejects with) EIO when there is no
   * device.
   */
  get(slot: number): MaybePromise<ExternalChannel> {
    const device = this.#host.externalDevice(slot);
    if (device instanceof Promise) return device.then((opened) => this.#of(slot, opened));
    return this.#of(slot, device);
  }

  #of(slot: number, device: BlockDevice | undefined): ExternalChannel {
    if (!device) throw new BlobstoreError('EIO', 'the external snapshot behind this blob is not open');
    const open = this.#open.get(slot);
    if (open?.device === device) return open;
    open?.channel.close();
    const opened = { device, channel: device.openChannel() };
    this.#open.set(slot, opened);
    return opened;
  }

  /** Closes the channel for a slot, if there is one. */
  close(slot: number): void {
    const external = this.#open.get(slot);
    this.#open.delete(slot);
    external?.channel.close();
  }

  closeAll(): void {
    for (const slot of [...this.#open.keys()]) this.close(slot);
  }
}
