/**
 * A bridge: other threads can open a device of one thread. Each operation and each answer is a message. So a test can
 * fail, hold and count the operations of all threads on its own device.
 */

import { BroadcastChannel } from 'node:worker_threads';
import { BlobstoreError, type ErrorCode } from 'blobyard';
import type { BlockDevice, CustomDeviceSpec, DeviceChannel } from 'blobyard/devices';

type Operation = 'read' | 'write' | 'writeZeroes' | 'unmap' | 'flush' | 'copy' | 'refresh';

interface Request {
  readonly from: string;
  readonly id: number;
  readonly operation: Operation;
  readonly data?: Uint8Array;
  readonly numbers: readonly number[];
}

interface Reply {
  readonly to: string;
  readonly id: number;
  readonly data?: Uint8Array;
  readonly blockCount: number;
  readonly error?: { code: ErrorCode; message: string };
}

/** The options with which other threads open the device. */
interface BridgeOptions {
  readonly name: string;
  readonly blockLengthBytes: number;
  readonly blockCount: number;
  readonly canCopy: boolean;
}

/** Lets other threads open a device of this thread by `spec`, until `close` is called. */
export function bridge(device: BlockDevice): { spec: CustomDeviceSpec; close: () => void } {
  const { blockLengthBytes, blockCount, canCopy } = device;
  const options: BridgeOptions = { name: crypto.randomUUID(), blockLengthBytes, blockCount, canCopy };
  const messages = new BroadcastChannel(options.name);
  const channel = device.openChannel();
  messages.onmessage = (event) => {
    const request = (event as { data: Request | Reply }).data;
    if ('to' in request) return;
    const { from, id } = request;
    void perform(device, channel, request).then(
      (data) => messages.postMessage({ to: from, id, data, blockCount: device.blockCount } satisfies Reply),
      ({ code, message }: BlobstoreError) =>
        messages.postMessage({ to: from, id, blockCount: device.blockCount, error: { code, message } } satisfies Reply),
    );
  };
  messages.unref();
  return {
    spec: { kind: 'custom', module: new URL('../../dist/threads/bridge.js', import.meta.url).href, options },
    close() {
      messages.close();
      channel.close();
    },
  };
}

async function perform(device: BlockDevice, channel: DeviceChannel, request: Request): Promise<Uint8Array | undefined> {
  const { operation, data, numbers } = request;
  const [first, second, third] = numbers;
  switch (operation) {
    case 'read': {
      const into = new Uint8Array(second * device.blockLengthBytes);
      await channel.read(into, 0, first, second);
      return into;
    }
    case 'write':
      await channel.write(data ?? new Uint8Array(0), 0, first, second);
      return undefined;
    case 'writeZeroes':
      await channel.writeZeroes(first, second);
      return undefined;
    case 'unmap':
      await channel.unmap(first, second);
      return undefined;
    case 'flush':
      await channel.flush();
      return undefined;
    case 'copy':
      await channel.copy?.(first, second, third);
      return undefined;
    case 'refresh':
      await device.refresh?.();
      return undefined;
  }
}

/** The function of a custom device's module, which any thread calls. */
export function openDevice(options: BridgeOptions): BlockDevice {
  return new BridgedDevice(options);
}

class BridgedDevice implements BlockDevice {
  readonly blockLengthBytes: number;
  readonly synchronous = false;
  readonly canCopy: boolean;
  blockCount: number;
  readonly #messages: BroadcastChannel;
  readonly #from = crypto.randomUUID();
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #nextId = 1;

  constructor({ name, blockLengthBytes, blockCount, canCopy }: BridgeOptions) {
    this.blockLengthBytes = blockLengthBytes;
    this.blockCount = blockCount;
    this.canCopy = canCopy;
    this.#messages = new BroadcastChannel(name);
    this.#messages.onmessage = (event) => {
      const reply = (event as { data: Request | Reply }).data;
      if (!('to' in reply) || reply.to !== this.#from) return;
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    };
    this.#messages.unref();
  }

  openChannel(): DeviceChannel {
    const device = this;
    return {
      async read(buffer, bufferOffset, lba, count) {
        buffer.set((await device.ask('read', [lba, count])) ?? new Uint8Array(0), bufferOffset);
      },
      async write(buffer, bufferOffset, lba, count) {
        const bytes = buffer.slice(bufferOffset, bufferOffset + count * device.blockLengthBytes);
        await device.ask('write', [lba, count], bytes);
      },
      async readv(buffers, lba, count) {
        const bytes = (await device.ask('read', [lba, count])) ?? new Uint8Array(0);
        let at = 0;
        for (const buffer of buffers) {
          buffer.set(bytes.subarray(at, at + buffer.length));
          at += buffer.length;
        }
      },
      async writev(buffers, lba, count) {
        await device.ask('write', [lba, count], Uint8Array.from(Buffer.concat(buffers)));
      },
      async writeZeroes(lba, count) {
        await device.ask('writeZeroes', [lba, count]);
      },
      async unmap(lba, count) {
        await device.ask('unmap', [lba, count]);
      },
      async flush() {
        await device.ask('flush', []);
      },
      async copy(target, source, count) {
        await device.ask('copy', [target, source, count]);
      },
      close() {
        // what is under way still comes back
      },
    };
  }

  async refresh(): Promise<void> {
    await this.ask('refresh', []);
  }

  close(): void {
    this.#messages.close();
  }

  async ask(operation: Operation, numbers: readonly number[], data?: Uint8Array): Promise<Uint8Array | undefined> {
    const id = this.#nextId++;
    const reply = await new Promise<Reply>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#messages.postMessage({ from: this.#from, id, operation, numbers, data } satisfies Request);
    });
    this.blockCount = reply.blockCount;
    if (reply.error !== undefined) throw new BlobstoreError(reply.error.code, reply.error.message);
    return reply.data;
  }
}
