/** The options that a user gives with a scatter request reach the device with each of its parts. */

import { Blobstore, type BlockDevice, type DeviceChannel, type RequestOptions, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';

const CLUSTER_BYTES = 16384;

/** A device that adds the options of each scatter request to `seen`. */
function noting(device: BlockDevice, seen: (RequestOptions | undefined)[]): BlockDevice {
  const openChannel = (): DeviceChannel => {
    const channel = device.openChannel();
    const { readv, writev } = channel;
    return Object.assign(channel, {
      readv: (buffers: readonly Uint8Array[], lba: number, count: number, options?: RequestOptions) => {
        seen.push(options);
        return readv.call(channel, buffers, lba, count);
      },
      writev: (buffers: readonly Uint8Array[], lba: number, count: number, options?: RequestOptions) => {
        seen.push(options);
        return writev.call(channel, buffers, lba, count);
      },
    });
  };
  return new Proxy(device, {
    get: (target, name) => {
      if (name === 'openChannel') return openChannel;
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('request options', () => {
  it('reach the device with every part of a request', () => {
    const seen: (RequestOptions | undefined)[] = [];
    const device = noting(new SparseMemoryDevice({ sizeBytes: 8 << 20 }), seen);
    const store = runSync(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, durability: 'process-crash' }));
    const blob = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 4, thin: true }))));
    const channel = store.openChannel();
    const options = { priority: 7 };
    const bytes = new Uint8Array(2 * CLUSTER_BYTES).fill(1);
    channel.writevSync(blob, [bytes.subarray(0, 5000), bytes.subarray(5000)], 2, 8, options);
    channel.readvSync(blob, [new Uint8Array(2 * CLUSTER_BYTES)], 2, 8, options);
    expect(seen).toHaveLength(6); // three clusters written, and three read
    expect(seen.every((given) => given === options)).toBe(true);
  });
});
