/** Checks the super block alone: does it describe a usable store, and is its clean flag valid? */

import type { BlockDevice } from '../device/block-device.js';
import { BSTYPE_BYTES, SUPER_VERSION, type SuperBlock } from '../format/super-block.js';
import { parseGeometry } from '../store/super-geometry.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import type { Findings } from './report.js';

/** Returns the geometry of the store; undefined, with a finding, when there is no store that can be examined. */
export function checkSuper(block: SuperBlock, device: BlockDevice, findings: Findings): Geometry | undefined {
  const deviceBytes = device.blockCount * device.blockLengthBytes;
  try {
    block.validate(new Uint8Array(BSTYPE_BYTES), deviceBytes);
    if (block.sizeBytes === 0) block.sizeBytes = deviceBytes;
    const geometry = parseGeometry(block, device);
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
    if (!(error instanceof BlobstoreError) || error.code === 'EINVAL') throw error;
    if (!block.hasSignature) findings.note('no-store', error.message);
    else if (isUnsupported(block, error)) findings.note('unsupported', error.message);
    else findings.damage('super-block', error.message);
    return undefined;
  }
}

/** True for a store that seems sound, but that this version cannot read. */
function isUnsupported(block: SuperBlock, error: BlobstoreError): boolean {
  return block.isSealed && (error.code === 'ENOTSUP' || block.version > SUPER_VERSION);
}
