/** The device of a stressed store, and copies of it as a killed process would leave it. */

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type DeviceSpec, FileDevice, MemoryDevice, type ResizableDevice } from '@blobyard/io';
import type { SlowDeviceOptions } from './slow-device.js';

/** The kinds of media: `slow` is memory that is sometimes slow; `async` is the same with promises. */
export const MEDIA = ['memory', 'file', 'slow', 'async'] as const;
export type MediumKind = (typeof MEDIA)[number];

export interface MediumOptions {
  readonly kind: MediumKind;
  readonly sizeBytes: number;
  readonly sizeBytesMax: number;
  readonly blockLengthBytes: number;
  readonly canCopy: boolean;
}

export interface Medium {
  /** The device, or its spec, with which the store is opened. */
  readonly given: DeviceSpec | ResizableDevice;
  /** The device with the bytes. */
  readonly device: ResizableDevice;
  /** A copy of the device with its present bytes. */
  copy(): ResizableDevice & { close(): unknown };
  remove(): void;
}

export function makeMedium(options: MediumOptions): Medium {
  return options.kind === 'file' ? fileMedium(options) : memoryMedium(options);
}

function memoryMedium({ kind, sizeBytes, sizeBytesMax, blockLengthBytes, canCopy }: MediumOptions): Medium {
  const device = MemoryDevice.create({ sizeBytes, maxSizeBytes: sizeBytesMax, blockLengthBytes, canCopy });
  const options: SlowDeviceOptions = { memory: device.memory, isAsynchronous: kind === 'async' };
  const module = new URL('../../dist/stress/slow-device.js', import.meta.url).href;
  return {
    given: kind === 'memory' ? device : { kind: 'custom', module, options },
    device,
    copy: () => MemoryDevice.fromBytes(device.bytes(), { blockLengthBytes, canCopy }),
    remove: () => undefined,
  };
}

function fileMedium({ sizeBytes, blockLengthBytes }: MediumOptions): Medium {
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-stress-'));
  const file = path.join(folder, 'store');
  const device = FileDevice.open({ path: file, create: true, sizeBytes, blockLengthBytes });
  return {
    given: device,
    device,
    copy: () => {
      const copied = path.join(folder, 'copy');
      copyFileSync(file, copied);
      return FileDevice.open({ path: copied, blockLengthBytes });
    },
    remove: () => {
      void device.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
