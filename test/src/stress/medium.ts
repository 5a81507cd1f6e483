/** The device under a stressed store, and copies of it as a killed process would leave it. */

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileDevice, MemoryDevice, type ResizableDevice } from '@blobyard/io';

export interface MediumOptions {
  readonly kind: 'memory' | 'file';
  readonly sizeBytes: number;
  readonly sizeBytesMax: number;
  readonly blockLengthBytes: number;
  readonly canCopy: boolean;
}

export interface Medium {
  readonly device: ResizableDevice;
  /** A device with the bytes that this one has now. */
  copy(): ResizableDevice & { close(): unknown };
  remove(): void;
}

export function makeMedium(options: MediumOptions): Medium {
  return options.kind === 'memory' ? memoryMedium(options) : fileMedium(options);
}

function memoryMedium({ sizeBytes, sizeBytesMax, blockLengthBytes, canCopy }: MediumOptions): Medium {
  const device = MemoryDevice.create({ sizeBytes, maxSizeBytes: sizeBytesMax, blockLengthBytes, canCopy });
  return {
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
