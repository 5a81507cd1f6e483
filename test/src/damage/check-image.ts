/**
 * Checks a damaged image, and repairs it. The check reads the metadata by code of its own, so that it and the engine, which
 * refuses or opens the same image, tell on each other.
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

/** Operations of the device for each metadata page, and besides. */
const OPERATIONS_PER_PAGE = 40;
const OPERATIONS_BESIDES = 200;
/** Damage with which a store is opened all the same: what it says is wrong is not what blobs say. */
const HARMLESS: readonly FindingKind[] = [
  'leak',
  'not-reserved',
  'unlisted-blob',
  'mask',
  'super-block',
  'flags',
  'stray-root',
];

/** No damage: there is no store, or none that can be read. */
const UNCHECKED: readonly FindingKind[] = ['no-store', 'unsupported'];

/** The check finds damage exactly where the engine refuses to open the store for damage; and it writes nothing. */
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

/** The super block says that the store needs a device with smaller blocks: nobody can tell whether that is damage. */
export function needsSmallerBlocks(image: Uint8Array): boolean {
  const bytes = blockLengthOfStore(new SuperBlock(image.slice(0, PAGE_BYTES)));
  return bytes !== undefined && bytes < new ImageDevice(image).blockLengthBytes;
}

/** A store that needs another device is not checked, and not written to, whatever else is wrong with its super block. */
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

/** A repair says truly what became of each finding, touches nothing that is sound, and is done at once. */
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

/** The damage that is there after a check. */
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
