/** Opens the store that is on a device: super block, masks or recovery, then a visit of every blob. */

import { Blob } from '../blob/blob.js';
import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { BSTYPE_BYTES, SuperBlock } from '../format/super-block.js';
import { zeroPages } from '../metadata/clearing.js';
import { readMetadata } from '../metadata/load-blob.js';
import { BitArray } from '../shared/bit-array.js';
import { SharedStore } from '../shared/shared-store.js';
import { refusal } from '../state/damage.js';
import { clearFreeBelow, type FoundMarks, NO_HIGH_WATER, readMarks } from '../state/high-water.js';
import { InsertionLog } from '../state/insertion-log.js';
import { type Masks, readMasks, writeMasks } from '../state/masks.js';
import { StoreState } from '../state/store-state.js';
import { markDirty } from '../state/super-block-io.js';
import { type Steps, wait } from '../steps/steps.js';
import { surveyStore } from '../survey/survey.js';
import type { Survey } from '../survey/verdict.js';
import { assert, BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { blobIdOfPage, PAGE_BYTES } from '../units/units.js';
import { endRecovery } from './end-recovery.js';
import { growSuper } from './grow.js';
import { Census } from './load-census.js';
import { isMetadataDamage, visitBlobs } from './load-visit.js';
import {
  CHANNEL_OPS_DEFAULT,
  CLUSTER_BYTES_DEFAULT,
  checkStoreOptions,
  keepsHighWater,
  type LoadOptions,
  requireBlockLength,
  requireDeviceSize,
} from './options.js';
import { recover } from './recover.js';
import { clusterCountMax, growLimitBytes, parseGeometry } from './super-geometry.js';
import { abandonStore } from './unload.js';

/**
 * Opens a store; recovers it if it was not cleanly unloaded.
 * @throws EILSEQ no store, or a damaged one (a `DamagedStoreError` names what is damaged); ENXIO another type; ENOSPC a
 * device smaller than a cluster; EINVAL an invalid block length or options; EIO of the device
 */
export function loadStore(device: BlockDevice, options: LoadOptions): Steps<StoreState> {
  return open(device, options, false);
}

/**
 * Opens a cleanly unloaded store, and extends it to the size of its device. Also throws EIO when it was not cleanly
 * unloaded.
 */
export function growStore(device: BlockDevice, options: LoadOptions): Steps<StoreState> {
  return open(device, options, true);
}

function* open(device: BlockDevice, options: LoadOptions, grow: boolean): Steps<StoreState> {
  requireBlockLength(device.blockLengthBytes);
  checkStoreOptions(options);
  const deviceBytes = device.blockCount * device.blockLengthBytes;
  requireDeviceSize(options.clusterBytes ?? CLUSTER_BYTES_DEFAULT, deviceBytes);
  const channel = device.openChannel();
  let store: StoreState | undefined;
  try {
    const block = yield* readSuperBlock(channel, device, options);
    if (grow) yield* growSuper(channel, device, block, options);
    if (block.sizeBytes === 0) block.sizeBytes = deviceBytes;
    const geometry = parseGeometry(block, device);
    if (grow) requireClean(block);
    const wasRecovered = mustRecover(block, options);
    const reset = () => {
      store = newStore(channel, device, block, geometry, options);
      return store;
    };
    if (options.onDamage === undefined) yield* openAsIs(reset(), block, options);
    else yield* openWhole(reset, block, options, options.onDamage);
    store = requireMade(store);
    store.isRecovering = false;
    store.wasRecovered = wasRecovered;
    store.sharedByBlobs = undefined;
    return store;
  } catch (error) {
    if (store) yield* abandonStore(store);
    else channel.close();
    throw error;
  }
}

/** Reads and checks the super block of a device. */
export function* readSuperBlock(channel: DeviceChannel, device: BlockDevice, options: LoadOptions): Steps<SuperBlock> {
  const block = new SuperBlock();
  yield* wait(channel.read(block.bytes, 0, 0, PAGE_BYTES / device.blockLengthBytes));
  block.validate(options.bstype ?? new Uint8Array(BSTYPE_BYTES), device.blockCount * device.blockLengthBytes);
  return block;
}

function requireClean(block: SuperBlock): void {
  if (block.blobIdMask.count > 0 && block.clean === 1) return;
  throw new BlobstoreError(
    'EIO',
    'only a cleanly unloaded store can grow while it is loaded, and this one is not: load it and unload it first',
  );
}

/**
 * The high-water mark of metadata pages; undefined, so that all pages are read, if recovery is forced or the options
 * ask for that.
 */
function pageMarkFor({ mdPages }: FoundMarks, options: LoadOptions): number | undefined {
  return options.forceRecover === true || options.allPages === true ? undefined : mdPages;
}

function mustRecover(block: SuperBlock, options: LoadOptions): boolean {
  return block.blobIdMask.count === 0 || block.clean === 0 || options.forceRecover === true;
}

/**
 * Opens a store as the specification does: blobs that are damaged after a clean unload are listed, and keep what the
 * masks say.
 */
function* openAsIs(store: StoreState, block: SuperBlock, options: LoadOptions): Steps<void> {
  const { deviceChannel, geometry, shared } = store;
  const { capacity } = shared.clusters;
  if (!mustRecover(block, options)) {
    take(store, yield* readMasks(deviceChannel, geometry, block, capacity));
    return yield* visitBlobs(store, options.onBlob);
  }
  store.isRecovering = block.clean === 0;
  yield* store.barrierAtOnce(); // see `openWhole`
  const marks = yield* readMarks(deviceChannel, geometry, block, capacity);
  const found = yield* recover({
    channel: deviceChannel,
    geometry,
    clusterCount: capacity,
    wasClosed: block.clean !== 0,
    mdPageMark: pageMarkFor(marks, options),
  });
  yield* readLog(store);
  if (store.insertionLog) yield* addNoted(store, store.insertionLog, found);
  take(store, found, found.contentEnd);
  store.missingClusterCount = found.missingClusterCount;
  store.sharedByBlobs = found.shared;
  yield* endRecovery(store, block, { ...found, marks, isDoubtful: false }, options.onBlob);
}

/**
 * Opens a store and looks for damage. A damaged store is refused, or the damage is set aside. After a clean unload the
 * masks are trusted as long as the blobs agree with them; otherwise all metadata is surveyed.
 * @param reset - creates the state of the store again, with nothing used
 */
function* openWhole(
  reset: () => StoreState,
  block: SuperBlock,
  options: LoadOptions,
  onDamage: 'refuse' | 'set-aside',
): Steps<void> {
  const isRecovered = mustRecover(block, options);
  let store = reset();
  store.isRecovering = block.clean === 0;
  // What a killed process wrote last may still be in the device's cache, and could be lost: it must be durable first.
  if (isRecovered) yield* store.barrierAtOnce();
  if (isRecovered) yield* readLog(store);
  let masks: Masks | undefined;
  if (!isRecovered) {
    masks = yield* readMasksFor(store, block, onDamage);
    if (masks && !options.survey) {
      take(store, masks);
      const census = new Census(store, masks);
      yield* visitBlobs(store, options.onBlob, census);
      if (census.agrees) return;
      options.onRestart?.();
    }
    store = reset();
  }
  const { deviceChannel, geometry, shared } = store;
  const marks = isRecovered ? yield* readMarks(deviceChannel, geometry, block, shared.clusters.capacity) : undefined;
  const mdPageMark = marks && pageMarkFor(marks, options);
  const survey = yield* surveyStore(store, { masks, highWater: marks?.clusters, mdPageMark });
  if (survey.damaged.length > 0 && onDamage === 'refuse') throw refusal(survey.damaged);
  takeSurvey(store, survey);
  yield* clearNoise(store, survey);
  if (marks) {
    yield* endRecovery(store, block, { ...survey, marks }, options.onBlob);
  } else {
    if (!survey.isDoubtful) yield* correctMasks(store, block, survey, masks);
    yield* visitBlobs(store, options.onBlob);
  }
  const late = store.damaged.filter(({ page, error }) => !store.setAside.has(page) && isMetadataDamage(error));
  if (late.length > 0 && onDamage === 'refuse') throw refusal(late);
}

/** Returns the masks; undefined when they are damaged and damage is set aside. */
function* readMasksFor(
  store: StoreState,
  block: SuperBlock,
  onDamage: 'refuse' | 'set-aside',
): Steps<Masks | undefined> {
  const { deviceChannel, geometry, shared } = store;
  try {
    return yield* readMasks(deviceChannel, geometry, block, shared.clusters.capacity);
  } catch (error) {
    if (onDamage === 'refuse' || !(error instanceof BlobstoreError) || error.code !== 'EILSEQ') throw error;
    return undefined;
  }
}

/**
 * Zeroes free pages whose content recovery would take for a blob or for damage. This is durable before the store is
 * marked as in use, after which a crash would make it recover.
 */
function* clearNoise(store: StoreState, { noise }: Survey): Steps<void> {
  if (noise.length === 0) return;
  yield* zeroPages(store, noise);
  yield* store.barrierAtOnce();
}

function takeSurvey(store: StoreState, survey: Survey): void {
  take(store, survey, survey.contentEnd);
  store.damaged.push(...survey.damaged);
  for (const each of survey.damaged) store.setAside.set(each.page, each);
  for (const { id, parentId } of survey.lostClones) store.snapshots.add(parentId, id);
  store.hidesParents = survey.hidesParents;
  store.lostPages = survey.lostPages;
  store.sharedByBlobs = survey.shared;
}

/** Reads the insertion log that an earlier process left, if the cache that took its writes is still there. */
function* readLog(store: StoreState): Steps<void> {
  if (store.insertionLog) yield* store.insertionLog.load();
}

/** Adds the pages and clusters in the insertion log to what recovery has found. */
function* addNoted(store: StoreState, log: InsertionLog, found: Masks): Steps<void> {
  store.knowsUsed = false;
  for (const page of log.blobPages) {
    if (!found.blobIds.get(page)) continue;
    const blob = new Blob(store.shared, blobIdOfPage(page));
    try {
      yield* readMetadata(store, blob);
      blob.map.clusters.forEachSet((cluster) => found.clusters.set(cluster));
      blob.map.extentPages.forEachSet((extentPage) => found.pages.set(extentPage));
    } catch (error) {
      if (!(error instanceof BlobstoreError) || error.code === 'EIO') throw error; // a damaged blob is listed later
    } finally {
      blob.free();
    }
  }
  store.knowsUsed = true;
}

/** Writes the masks of a cleanly unloaded store again, and clears what they marked as used and no blob has. */
function* correctMasks(store: StoreState, block: SuperBlock, { clusters }: Masks, wrong?: Masks): Steps<void> {
  yield* markDirty(store);
  yield* clearFreeBelow(store, clusters, wrong?.clusters.lengthUsed() ?? clusters.capacity);
  yield* writeMasks(store, block);
  yield* store.barrierAtOnce();
}

function newStore(
  channel: DeviceChannel,
  device: BlockDevice,
  block: SuperBlock,
  geometry: Geometry,
  options: LoadOptions,
): StoreState {
  const clusterCount = Math.floor(block.sizeBytes / block.clusterBytes);
  const sizes = { clusterCount, clusterCountMax: clusterCountMax(block), mdPageCount: geometry.mdPageCount };
  return new StoreState({
    device,
    deviceChannel: channel,
    shared: SharedStore.create(sizes, options.threadId ?? 0),
    geometry,
    usedBlobIds: BitArray.private(geometry.mdPageCount),
    bstype: block.bstype,
    superBlobId: block.superBlobId,
    clusterMask: block.clusterMask,
    insertionLog: InsertionLog.of(device, channel, geometry, block),
    clean: true, // may be wrong: the first change of metadata reads the super block, and records the size of an old store
    durability: options.durability ?? 'power-loss',
    keepsHighWater: keepsHighWater(options),
    mdPageMark: keepsHighWater(options) ? 0 : NO_HIGH_WATER,
    growLimitBytes: growLimitBytes(block),
    channelOpsMax: options.channelOpsMax ?? CHANNEL_OPS_DEFAULT,
    openExternal: options.openExternalSnapshot,
    externalContext: options.externalContext,
  });
}

function requireMade(store: StoreState | undefined): StoreState {
  assert(store !== undefined, 'no store was made');
  return store;
}

/**
 * Marks pages, clusters and blob ids as used.
 * @param contentEnd - the end of the metadata pages that are not zeroes
 */
function take(store: StoreState, { clusters, pages, blobIds }: Masks, contentEnd = 0): void {
  const { shared } = store;
  shared.locked(() => {
    shared.clusters.load(clusters);
    shared.pages.load(pages);
  });
  store.usedBlobIds.add(blobIds);
  store.highWaterMin = clusters.lengthUsed();
  store.mdPageMarkMin = Math.max(pages.lengthUsed(), contentEnd);
  // The marks are written when the store is marked as in use: a store that is clean on disk is not recovered.
  shared.highWater = store.keepsHighWater ? 0 : NO_HIGH_WATER;
}
