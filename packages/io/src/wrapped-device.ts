/** What devices that wrap another device have in common: what they report of it. */

import type { BlockDevice } from '@blobyard/core';

export abstract class WrappedDevice {
  /** The wrapped device. */
  readonly inner: BlockDevice;

  constructor(inner: BlockDevice) {
    this.inner = inner;
  }

  get blockLengthBytes(): number {
    return this.inner.blockLengthBytes;
  }

  get blockCount(): number {
    return this.inner.blockCount;
  }

  get canCopy(): boolean {
    return this.inner.canCopy;
  }

  get takesBytes(): boolean {
    return this.inner.takesBytes === true;
  }

  get cacheOwner(): BlockDevice['cacheOwner'] {
    return this.inner.cacheOwner;
  }

  isDegraded(): boolean {
    return this.inner.isDegraded?.() ?? false;
  }

  isZeroes(lba: number, blockCount: number): boolean {
    return this.inner.isZeroes?.(lba, blockCount) ?? false;
  }

  translateLba(lba: number): number | undefined {
    return this.inner.translateLba?.(lba);
  }
}
