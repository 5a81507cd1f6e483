/**
 * Does to a damaged image what users do: opens it in every way, reads, dumps, fills it, unloads it, repairs it. Throws what must not be:
 * an error without a code, work or memory out of proportion, a sound blob that reads wrong, a damaged one that lost something.
 */

import { Blobstore, BlobstoreError, DamagedStoreError, dumpStore, type LoadOptions, runSync } from '@blobyard/core';
import type { Choices } from '../random.js';
import { type BaseImage, CLUSTER_BYTES, type KnownBlob, loadOptions, PAGE_BYTES, readAll } from './base-image.js';
import { checkImage, needsSmallerBlocks, repairImage, requireNotRepaired } from './check-image.js';
import { Expectations } from './expectations.js';
import { ImageDevice } from './image-device.js';
import type { Victim } from './mutations.js';
import { holdRepair } from './repair-property.js';

/** Operations of the device for each metadata page, and besides. */
const OPERATIONS_PER_PAGE = 60;
const OPERATIONS_BESIDES = 400;
/** Bytes that are read for each byte of metadata. */
const READ_FACTOR = 80;
/** Memory for cluster maps: all that a store of this size can ever use. */
const MAP_BYTES_MAX = 2 ** 26;
/** Characters that are dumped for each byte of metadata. */
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

/** The error with a code that something failed with; undefined when it did not. Any other error goes on. */
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

/** Opens a store, and sees that this takes no more than it may. */
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

/** The engine's own default, which is the specification's. */
function openAsIs(image: Uint8Array, base: BaseImage): void {
  const device = copyOf(image);
  codedFailure(() => {
    const store = open(device, base, {});
    readEverything(store);
    codedFailure(() => runSync(store.unload()));
  });
}

/** Opens and reads whatever can be. */
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

/** What a user meets who says nothing of damage; answers whether it was refused for damage. */
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

/** What could not be opened, although nothing is damaged: it needs what is not there. */
function requireUnavailable(store: Blobstore): void {
  for (const { error } of store.damaged) {
    const isUnavailable = error.constructor !== BlobstoreError || error.code === 'ENOMEM';
    require(isUnavailable, `set aside, but not refused: ${error.message}`);
  }
}

/** Reads what is sound, deletes some of what can be, and takes all that is free. */
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

/** Thin and thick blobs, until nothing is free. */
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

/** False where metadata that has changed finds no room any more: every page is taken. */
function unload(store: Blobstore): boolean {
  const failure = codedFailure(() => runSync(store.unload()));
  require(!failure || failure.code === 'ENOSPC', `unloading failed: ${failure?.message}`);
  return failure === undefined;
}

/** What was set aside stays so after a clean unload. */
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
