/** The checker of stores, and what it reports. */

import { BlobstoreError, type BlockDevice } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';

export interface Finding {
  readonly kind: string;
  /** A `note` is nothing wrong: opening the store deals with it, or it is only worth knowing. */
  readonly severity: 'note' | 'damage';
  /** A sentence that says what is wrong, and where. */
  readonly message: string;
  readonly blobId?: bigint;
  readonly page?: number;
  readonly cluster?: number;
  readonly outcome: 'found' | 'repaired' | 'left';
}

export interface CheckReport {
  readonly outcome: 'clean' | 'repaired' | 'left';
  readonly findings: readonly Finding[];
  readonly summary: {
    readonly blobCount: number;
    readonly usedClusters: number;
    readonly freeClusters: number;
    readonly mdPagesUsed: number;
    readonly wasClean: boolean;
  };
}

/** Checks the store on a device, and repairs it if that is asked for. */
export async function check(
  _device: DeviceSpec | BlockDevice,
  _options: { repair?: boolean } = {},
): Promise<CheckReport> {
  throw new BlobstoreError('ENOTSUP', 'this version has no checker');
}
