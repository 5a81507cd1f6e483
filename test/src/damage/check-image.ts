/**
 * Checks a damaged image, and repairs it. The check reads the metadata by code of its own. So a difference between its
 * result and that of the engine, which refuses or opens the same image, shows a fault in one of them.
 */

import {
  Blobstore,
  BlobstoreError,
  blockLengthOfStore,
  type CheckReport,
  checkStore,
  DamagedStoreError,
  type Finding,
  type FindingKind,
  runSync,
  SuperBlock,
} from '@blobyard/core';
import { type BaseImage, loadOptions, PAGE_BYTES } from './base-image.js';
import type { Expectations } from './expectations.js';
import { ImageDevice } from './image-device.js';

/** The greatest number of device operations of a check: for each metadata page, and for all else. */
const OPERATIONS_PER_PAGE = 40;
const OPERATIONS_BESIDES = 200;
/** Kinds of damage with which a store is opened all the same, because the metadata of the blobs is not damaged. */
const HARMLESS: readonly FindingKind[] = [
  'leak',
  'not-reserved',
  'unlisted-blob',
  'mask',
  'super-block',
  'flags',
  'stray-root',
];

/** Kinds of findings that are not damage: there is no store, or none that this version can read. */
const UNCHECKED: readonly FindingKind[] = ['no-store', 'unsupported'];

/** Throws unless the check finds damage if and only if the engine refuses the store as damaged, and writes nothing. */
export function checkImage(image: Uint8Array, base: BaseImage, isRefused: boolean): void {
  const device = new ImageDevice(image.slice());
  const { findings, outcome } = runSync(checkStore(device));
  const most = base.mdPageCount * OPERATIONS_PER_PAGE + OPERATIONS_BESIDES;
  require(device.operations <= most, `a check took ${device.operations} operations of the device`);
  require(Buffer.from(device.bytes.buffer).equals(image), 'a check wrote something');
  const damage = findings.filter(isDamage);
  const isChecked = findings.every(({ kind }) => !UNCHECKED.includes(kind));
  const wanted = isChecked ? 'clean' : 'unchecked';
  require(outcome === (damage.length > 0 ? 'left' : wanted), `the outcome ${outcome} for ${damage.length} findings`);
  if (isRefused) require(damage.length > 0 || !isChecked, 'a store is refused in which a check finds nothing');
  const grave = damage.find(({ kind }) => !HARMLESS.includes(kind));
  if (grave) require(isRefused, `a store is opened in which a check finds: ${grave.message}`);
}

/** True if, by its super block, the store needs a device with smaller blocks. This may be damage or not. */
export function needsSmallerBlocks(image: Uint8Array): boolean {
  const bytes = blockLengthOfStore(new SuperBlock(image.slice(0, PAGE_BYTES)));
  return bytes !== undefined && bytes < new ImageDevice(image).blockLengthBytes;
}

/** Throws if a repair writes to a store that needs another device, whatever else is wrong with its super block. */
export function requireNotRepaired(image: Uint8Array): void {
  const device = new ImageDevice(image.slice());
  try {
    const { summary } = runSync(checkStore(device, { repair: true }));
    require(summary === undefined, 'a store was repaired on a device whose blocks are too large for it');
  } catch (error) {
    if (!(error instanceof BlobstoreError) || error.code !== 'EINVAL') throw error;
  }
  require(Buffer.from(device.bytes.buffer).equals(image), 'a store was written to that needs another device');
}

/**
 * Throws unless a repair reports the outcome of each finding correctly, changes nothing that is undamaged, and leaves
 * nothing to do for a second repair.
 */
export function repairImage(image: Uint8Array, expected: Expectations): void {
  const device = new ImageDevice(image.slice());
  const { base } = expected;
  const report = runSync(checkStore(device, { repair: true }));
  const again = runSync(checkStore(new ImageDevice(device.bytes.slice())));
  require(textOf(again) === textOf(report), `repaired: ${textOf(report)}; but found: ${textOf(again)}`);
  if (!report.summary || report.findings.some(({ kind }) => kind === 'super-block' || kind === 'repair')) return;
  try {
    const store = runSync(Blobstore.load(device, { ...loadOptions(base), onDamage: 'refuse' }));
    require(report.outcome !== 'left' ||
      !report.findings.some(isGrave), 'a store is opened that could not be repaired');
    expected.requireSound(store);
    runSync(store.abandon());
  } catch (error) {
    if (!(error instanceof DamagedStoreError)) throw error;
    require(report.outcome === 'left', `repaired, and refused: ${error.message}`);
    const store = runSync(Blobstore.load(device, { ...loadOptions(base), onDamage: 'set-aside' }));
    expected.requireSound(store);
    const damaged = store.damaged.map(({ id }) => id);
    runSync(store.abandon());
    expected.requireReserved(device.bytes, damaged, 'after a repair');
  }
}

function isDamage({ severity }: Finding): boolean {
  return severity === 'damage';
}

function isGrave(finding: Finding): boolean {
  return isDamage(finding) && finding.outcome === 'left' && !HARMLESS.includes(finding.kind);
}

/** The damage that is left after a check, as text. */
function textOf({ findings }: CheckReport): string {
  const left = findings.filter(
    (finding) => isDamage(finding) && finding.outcome !== 'repaired' && finding.kind !== 'repair',
  );
  return left
    .map(({ kind, message }) => `${kind}: ${message}`)
    .sort()
    .join('; ');
}

function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
