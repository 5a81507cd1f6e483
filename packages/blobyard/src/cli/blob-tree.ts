/** The tree of snapshots and their clones. */

import type { BlobInfo } from '@blobyard/workers';

/** A blob, and its place in the tree. */
export interface TreeLine {
  readonly blob: BlobInfo;
  /** The line characters that connect the blob with the snapshot above it. */
  readonly branch: string;
}

/** Returns all blobs, each clone below its snapshot. A clone whose snapshot is missing is a root of the tree. */
export function treeLines(blobs: readonly BlobInfo[]): TreeLine[] {
  const byId = new Map(blobs.map((blob) => [blob.id, blob]));
  const clonesOf = new Map<bigint, BlobInfo[]>();
  const isClone = ({ parentId }: BlobInfo) => parentId !== undefined && byId.has(parentId);
  for (const blob of blobs) {
    if (!isClone(blob) || blob.parentId === undefined) continue;
    clonesOf.set(blob.parentId, [...(clonesOf.get(blob.parentId) ?? []), blob]);
  }
  const lines: TreeLine[] = [];
  // An explicit stack: chains of snapshots can be deeper than the call stack allows.
  const waiting = blobs.filter((blob) => !isClone(blob)).map((blob) => ({ blob, branch: '', below: '' }));
  waiting.reverse();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { blob, branch, below } = next;
    lines.push({ blob, branch });
    const clones = clonesOf.get(blob.id) ?? [];
    for (const [at, clone] of [...clones.entries()].reverse()) {
      const isLast = at === clones.length - 1;
      waiting.push({
        blob: clone,
        branch: `${below}${isLast ? '└─ ' : '├─ '}`,
        below: `${below}${isLast ? '   ' : '│  '}`,
      });
    }
  }
  return lines;
}
