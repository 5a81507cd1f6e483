/** The oracle: what a store must contain, as plain bytes. A test applies each change to it, too, and compares. */

import type { BlobId } from '@blobyard/core';

export interface BlobState {
  content: Uint8Array;
  /** The values of the xattrs by name, as hexadecimal text. */
  xattrs: Map<string, string>;
  /** The parent of a clone. */
  parent: BlobId | undefined;
  isReadOnly: boolean;
  isThin: boolean;
}

export class Oracle {
  readonly blobs = new Map<BlobId, BlobState>();
  superBlob: BlobId | undefined;
  clusterCount = 0;

  /** The state of a blob that must be there. */
  of(id: BlobId): BlobState {
    const state = this.blobs.get(id);
    if (!state) throw new Error(`the oracle knows no blob ${id}`);
    return state;
  }

  copy(): Oracle {
    const copy = new Oracle();
    copy.superBlob = this.superBlob;
    copy.clusterCount = this.clusterCount;
    for (const [id, state] of this.blobs) copy.blobs.set(id, copyState(state));
    return copy;
  }
}

export function copyState(state: BlobState): BlobState {
  return { ...state, content: state.content.slice(), xattrs: new Map(state.xattrs) };
}

/** A content with another length: longer by zeroes, or cut off. */
export function resized(content: Uint8Array, bytes: number): Uint8Array {
  const target = new Uint8Array(bytes);
  target.set(content.subarray(0, bytes));
  return target;
}

/** The first difference between two stores, as text; undefined if they are the same. */
export function difference(found: Oracle, wanted: Oracle): string | undefined {
  if (found.superBlob !== wanted.superBlob) return `the super blob is ${found.superBlob}, not ${wanted.superBlob}`;
  if (found.clusterCount !== wanted.clusterCount)
    return `it has ${found.clusterCount} clusters, not ${wanted.clusterCount}`;
  for (const id of found.blobs.keys()) if (!wanted.blobs.has(id)) return `blob ${id} is there`;
  for (const [id, state] of wanted.blobs) {
    const there = found.blobs.get(id);
    if (!there) return `blob ${id} is not there`;
    const how = blobDifference(there, state);
    if (how) return `blob ${id}: ${how}`;
  }
  return undefined;
}

function blobDifference(found: BlobState, wanted: BlobState): string | undefined {
  if (found.content.length !== wanted.content.length)
    return `${found.content.length} bytes, not ${wanted.content.length}`;
  const at = firstDifference(found.content, wanted.content);
  if (at !== undefined) return `byte ${at} is ${found.content[at]}, not ${wanted.content[at]}`;
  if (found.parent !== wanted.parent) return `its parent is ${found.parent}, not ${wanted.parent}`;
  if (found.isReadOnly !== wanted.isReadOnly) return `read-only: ${found.isReadOnly}`;
  if (found.isThin !== wanted.isThin) return `thin: ${found.isThin}`;
  for (const [name, value] of wanted.xattrs)
    if (found.xattrs.get(name) !== value) return `xattr ${name} has another value`;
  return found.xattrs.size === wanted.xattrs.size ? undefined : 'it has more xattrs';
}

function firstDifference(found: Uint8Array, wanted: Uint8Array): number | undefined {
  if (Buffer.compare(found, wanted) === 0) return undefined;
  const at = found.findIndex((byte, index) => byte !== wanted[index]);
  return at < 0 ? undefined : at;
}
