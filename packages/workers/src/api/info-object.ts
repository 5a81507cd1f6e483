/**
 * Infos of blobs as users get them. They come from the engine, or from another thread as plain objects; here they get
 * what JSON and `console.log` need. The ids are bigints, which JSON does not have.
 */

import { inspect } from 'node:util';
import type { ClearMethod } from '@blobyard/core';
import type { BlobInfo } from './blob.js';
import { inspected } from './inspected.js';

/** A frozen info. */
export class InfoObject implements BlobInfo {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
  readonly thin: boolean;
  readonly readOnly: boolean;
  readonly snapshot: boolean;
  readonly clone: boolean;
  readonly parentId: bigint | undefined;
  readonly clones: readonly bigint[];
  readonly externalSnapshotId: Uint8Array | undefined;
  readonly clearMethod: ClearMethod;

  constructor(info: BlobInfo) {
    this.id = info.id;
    this.name = info.name;
    this.sizeBytes = info.sizeBytes;
    this.allocatedBytes = info.allocatedBytes;
    this.thin = info.thin;
    this.readOnly = info.readOnly;
    this.snapshot = info.snapshot;
    this.clone = info.clone;
    this.parentId = info.parentId;
    this.clones = info.clones;
    this.externalSnapshotId = info.externalSnapshotId;
    this.clearMethod = info.clearMethod;
    Object.freeze(this);
  }

  /** Ids as decimal text, the id of an external snapshot as hexadecimal digits, and null for what there is not. */
  toJSON(): object {
    const { id, name, parentId, clones, externalSnapshotId, ...rest } = this;
    return {
      id: `${id}`,
      name: name ?? null,
      ...rest,
      parentId: parentId === undefined ? null : `${parentId}`,
      clones: clones.map(String),
      externalSnapshotId: externalSnapshotId === undefined ? null : Buffer.from(externalSnapshotId).toString('hex'),
    };
  }

  [inspect.custom](depth: number, options: object): string {
    return inspected('BlobInfo', this, depth, options);
  }
}
