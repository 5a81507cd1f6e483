/** What the super block says by itself: a usable store, ranges that do not overlap, a clean flag that is one. */

import type { BlockDevice } from '../device/block-device.js';
import { BlobstoreError } from '../error.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import { BSTYPE_BYTES } from '../format/super-block.js';
import { clusterMaskRoom, parseGeometry } from '../store/super-geometry.js';
import type { Geometry } from '../units/geometry.js';
import type { Findings } from './report.js';

/** The geometry of the store; undefined, with a finding, when there is no usable one. */
export function checkSuper(block: SuperBlock, device: BlockDevice, findings: Findings): Geometry | undefined {
  const deviceBytes = device.blockCount * device.blockLengthBytes;
  try {
    block.validate(new Uint8Array(BSTYPE_BYTES), deviceBytes);
    if (block.sizeBytes === 0) block.sizeBytes = deviceBytes;
    const geometry = parseGeometry(block, device);
    requireApart(block);
    if (block.clean > 1) {
      findings.damage('super-block', `the clean flag of the super block is ${block.clean}; it is 0 or 1`);
    }
    const added = Math.floor(deviceBytes / block.clusterBytes) - Math.floor(block.sizeBytes / block.clusterBytes);
    if (added > 0) {
      findings.note(
        'larger-device',
        `the device has room for ${added} more clusters: opening it with 'grow' adds them`,
      );
    }
    return geometry;
  } catch (error) {
    if (!(error instanceof BlobstoreError)) throw error;
    findings.damage('super-block', error.message);
    return undefined;
  }
}

/** Masks and metadata must not lie on each other: writing one would destroy the other. */
function requireApart(block: SuperBlock): void {
  const clusterMask = { start: block.clusterMask.start, count: clusterMaskRoom(block) };
  const ranges: [string, PageRange][] = [
    ['the super block', { start: 0, count: 1 }],
    ['the mask of used pages', block.pageMask],
    ['the mask of used clusters', clusterMask],
    ['the mask of blob ids', block.blobIdMask],
    ['the metadata region', block.metadata],
  ];
  const present = ranges.filter(([, { count }]) => count > 0).sort(([, a], [, b]) => a.start - b.start);
  for (let at = 1; at < present.length; at++) {
    const [before, range] = present[at - 1];
    const [name, { start }] = present[at];
    if (range.start + range.count <= start) continue;
    throw new BlobstoreError('EILSEQ', `the super block describes no usable store: ${name} lies on ${before}`);
  }
}
