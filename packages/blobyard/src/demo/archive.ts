/** A file tree in a blob: the files one after another, and an index with the place and hash of each. */

import { createHash } from 'node:crypto';
import type { Blob } from '@blobyard/workers';
import type { SourceFile } from './source-tree.js';

/** The number of writes in flight. */
const WRITES_MAX = 32;

export interface ArchivedFile {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

/**
 * Computes the place of each file: directly after the previous one, so that most files begin and end inside an io unit.
 */
export function layOut(files: readonly SourceFile[]): ArchivedFile[] {
  let offset = 0;
  return files.map(({ path, bytes }) => {
    const entry = { path, offset, length: bytes.length, sha256: sha256(bytes) };
    offset += bytes.length;
    return entry;
  });
}

/** Writes all files, with several writes in flight. */
export async function writeFiles(
  blob: Blob,
  files: readonly SourceFile[],
  index: readonly ArchivedFile[],
): Promise<void> {
  const rest = files.map((file, at) => ({ file, offset: index[at].offset }));
  const writer = async () => {
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) await blob.write(next.file.bytes, next.offset);
  };
  await Promise.all(Array.from({ length: WRITES_MAX }, writer));
}

/** Returns the paths of the files whose bytes in the blob do not match the hash in the index. */
export async function differingFiles(blob: Blob, index: readonly ArchivedFile[]): Promise<string[]> {
  const differing: string[] = [];
  for (const { path, offset, length, sha256: expected } of index) {
    const hash = createHash('sha256');
    for await (const chunk of blob.createReadStream({ start: offset, end: offset + length - 1 }))
      hash.update(chunk as Buffer);
    if (hash.digest('hex') !== expected) differing.push(path);
  }
  return differing;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
