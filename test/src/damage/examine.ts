/**
 * Does to a damaged image what users do: opens it in every way, reads, dumps, fills, unloads and repairs it. Throws if
 * an error has no code, if work or memory are out of proportion, if an undamaged blob reads wrong, or if a damaged blob
 * loses clusters or pages.
 */

import { Blobstore, BlobstoreError, DamagedStoreError, dumpStore, type LoadOptions, runSync } from '@blobyard/core';
import type { Choices } from '../random.js';
import { type BaseImage, CLUSTER_BYTES, type KnownBlob, loadOptions, PAGE_BYTES, readAll } from './base-image.js';
import { checkImage, needsSmallerBlocks, repairImage, requireNotRepaired } from './check-image.js';
import { Expectations } from './expectations.js';
import { ImageDevice } from './image-device.js';
import type { Victim } from './mutations.js';
import { holdRepair } from './repair-property.js';

/** The greatest number of device operations of an opening: for each metadata page, and for all else. */
const OPERATIONS_PER_PAGE = 60;
const OPERATIONS_BESIDES = 400;
/** The greatest number of bytes that are read for each byte of metadata. */
const READ_FACTOR = 80;
/** The greatest memory for cluster maps, in bytes: all that a store of this size can ever use. */
const MAP_BYTES_MAX = 2 ** 26;
/** The greatest number of characters that are dumped for each byte of metadata. */
const DUMP_FACTOR = 40;

export type Outcome = 'opened' | 'opened, nothing damaged' | 'refused' | 'no store';

export function examine(victim: Victim, random: Choices): Outcome {
  const image = victim.bytes.slice();
  const expected = new Expectations(victim);
  dump(image, victim.base);
  openAsIs(image, victim.base);
  const refused = openOrRefuse(image, expected);
  const outcome = setAside(image, expected, refused, random);
  if (needsSmallerBlocks(image)) {
    requireNotRepaired(image);
    return outcome;
  }
  checkImage(image, victim.base, refused !== undefined);
  repairImage(image, expected);
  holdRepair(image, victim.base, random);
  return outcome;
}

/** Executes an action. Returns its `BlobstoreError`, or undefined if it succeeded. Throws any other error. */
function codedFailure(action: () => void): BlobstoreError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof BlobstoreError && error.name === 'BlobstoreError') return error;
    throw error;
  }
}

function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function copyOf(image: Uint8Array): ImageDevice {
  return new ImageDevice(image.slice());
}

function metadataBytes(base: BaseImage): number {
  return (base.mdStartPage + base.mdPageCount) * PAGE_BYTES;
}

function dump(image: Uint8Array, base: BaseImage): void {
  const device = copyOf(image);
  let length = 0;
  codedFailure(() =>
    runSync(
      dumpStore(device, (text) => {
        length += text.length;
      }),
    ),
  );
  require(length <= metadataBytes(base) * DUMP_FACTOR, `the dump has ${length} characters`);
  require(Buffer.from(device.bytes.buffer).equals(image), 'the dump wrote something');
}

/** Opens a store. Throws if that takes more operations, reads or memory than the limits. */
function open(device: ImageDevice, base: BaseImage, options: LoadOptions): Blobstore {
  let store: Blobstore | undefined;
  try {
    store = runSync(Blobstore.load(device, { ...loadOptions(base), ...options }));
    return store;
  } finally {
    const { operations, bytesRead } = device;
    const most = base.mdPageCount * OPERATIONS_PER_PAGE + OPERATIONS_BESIDES;
    require(operations <= most, `opening took ${operations} operations of the device, for ${base.mdPageCount} pages`);
    require(bytesRead <= metadataBytes(base) * READ_FACTOR, `opening has read ${bytesRead} bytes`);
    const mapBytes = store?.shared.buffers.maps.byteLength ?? 0;
    require(mapBytes <= MAP_BYTES_MAX, `opening took ${mapBytes} bytes for cluster maps`);
  }
}

/** Opens the store with the engine's default, which is that of the specification: damage is not looked for. */
function openAsIs(image: Uint8Array, base: BaseImage): void {
  const device = copyOf(image);
  codedFailure(() => {
    const store = open(device, base, {});
    readEverything(store);
    codedFailure(() => runSync(store.unload()));
  });
}

/** Opens and reads all blobs that can be opened. */
function readEverything(store: Blobstore): void {
  const channel = store.openChannel();
  for (const id of store.blobIds()) {
    codedFailure(() => {
      const blob = runSync(store.openBlob(id));
      codedFailure(() => readAll(channel, blob));
      runSync(store.closeBlob(blob));
    });
  }
}

/** Opens the store as a user does who gives no `onDamage`. Returns the error if it was refused as damaged. */
function openOrRefuse(image: Uint8Array, expected: Expectations): BlobstoreError | undefined {
  const device = copyOf(image);
  const failure = codedFailure(() => {
    const store = open(device, expected.base, { onDamage: 'refuse' });
    require(!expected.mustBeRefused, `damage was passed over: ${expected.brokenPages}`);
    expected.requireSound(store);
    runSync(store.abandon());
  });
  if (failure && !expected.superChanged && !expected.masksChanged) {
    require(failure instanceof DamagedStoreError, `refused by ${failure.message}`);
    require(failure.damaged.length > 0, 'refused without naming any damage');
    require(Buffer.from(device.bytes.buffer).equals(image), `a store was refused, but written to: ${failure.message}`);
  }
  return failure;
}

function setAside(
  image: Uint8Array,
  expected: Expectations,
  refused: BlobstoreError | undefined,
  random: Choices,
): Outcome {
  const device = copyOf(image);
  const failure = codedFailure(() => {
    const store = open(device, expected.base, { onDamage: 'set-aside' });
    const hasDamage = store.damaged.length > 0;
    if (refused instanceof DamagedStoreError) {
      const named = refused.damaged.map(({ id }) => id);
      require(named.every((id) => store.damaged.some((each) => each.id === id)), 'less damage than was refused');
    } else if (hasDamage && !refused) requireUnavailable(store);
    useAll(store, expected, random);
    const damaged = store.damaged.map(({ id }) => id);
    if (refused instanceof DamagedStoreError) expected.requireReserved(device.bytes, damaged, 'while it was open');
    if (!unload(store)) return;
    if (refused instanceof DamagedStoreError) reload(device, expected, damaged, random);
  });
  require(!failure || expected.superChanged, `nothing could be set aside: ${failure?.message}`);
  if (failure) return 'no store';
  if (refused) return 'refused';
  return 'opened, nothing damaged';
}

/** Throws unless the blobs that could not be opened are undamaged, and only need something that is missing. */
function requireUnavailable(store: Blobstore): void {
  for (const { error } of store.damaged) {
    const isUnavailable = error.constructor !== BlobstoreError || error.code === 'ENOMEM';
    require(isUnavailable, `set aside, but not refused: ${error.message}`);
  }
}

/** Reads the undamaged blobs, deletes some of those that can be deleted, and allocates all free clusters. */
function useAll(store: Blobstore, expected: Expectations, random: Choices): void {
  expected.requireSound(store);
  const kept: KnownBlob[] = [];
  const deletes = random.below(2) === 0;
  for (const id of store.blobIds()) {
    const isDamaged = store.damaged.some((each) => each.id === id);
    const known = expected.soundBlobs.find((blob) => blob.id === id);
    if (isDamaged) {
      require(codedFailure(() => runSync(store.deleteBlob(id))) !== undefined, `the damaged blob ${id} was deleted`);
    } else if (deletes && random.below(3) === 0) {
      const failure = codedFailure(() => runSync(store.deleteBlob(id)));
      if (failure && known) kept.push(known);
    } else if (known) kept.push(known);
  }
  takeFree(store);
  expected.requireSound(store, kept);
}

/** Makes and writes thin and thick blobs until no cluster is free. */
function takeFree(store: Blobstore): void {
  const channel = store.openChannel();
  const ones = new Uint8Array(CLUSTER_BYTES).fill(0xa5);
  let blobs = 0;
  const thin = codedFailure(() => {
    const blob = runSync(store.openBlob(runSync(store.createBlob({ thin: true, clusterCount: 4000 }))));
    const full = codedFailure(() => {
      for (let cluster = 0; cluster < 4000; cluster++) channel.writeSync(blob, ones, cluster, 1);
    });
    require(full?.code === 'ENOSPC', `the store was not filled: ${full?.message}`);
    runSync(store.closeBlob(blob));
  });
  const full = codedFailure(() => {
    for (;;) {
      runSync(store.createBlob({ clusterCount: 0 }));
      blobs++;
    }
  });
  require(full?.code === 'ENOMEM', `there were more pages, but a blob could not be created: ${full?.message}`);
  if (thin) require(blobs < 2, `a thin blob could not be created: ${thin.message}`);
}

/** Unloads the store. Returns false if there is no page left for changed metadata (ENOSPC). */
function unload(store: Blobstore): boolean {
  const failure = codedFailure(() => runSync(store.unload()));
  require(!failure || failure.code === 'ENOSPC', `unloading failed: ${failure?.message}`);
  return failure === undefined;
}

/** Loads the store again after a clean unload. Throws unless the same blobs are damaged as before. */
function reload(device: ImageDevice, expected: Expectations, damaged: readonly bigint[], random: Choices): void {
  const refused = codedFailure(() =>
    open(new ImageDevice(device.bytes.slice()), expected.base, { onDamage: 'refuse' }),
  );
  require(refused instanceof DamagedStoreError, 'what was set aside is not damaged any more after unloading');
  device.operations = 0;
  device.bytesRead = 0;
  const store = open(device, expected.base, { onDamage: 'set-aside' });
  for (const id of damaged) {
    require(store.damaged.some((each) => each.id === id), `blob ${id} is forgotten after unloading`);
  }
  for (const id of store.blobIds()) if (random.below(4) === 0) codedFailure(() => runSync(store.deleteBlob(id)));
  takeFree(store);
  expected.requireReserved(device.bytes, damaged, 'after unloading');
  unload(store);
}
