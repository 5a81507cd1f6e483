/**
 * What must be true for every repair. Blobs that could be read before can be read after it, with the same bytes, and no
 * blob is listed that was not listed before. This must also be true if the repair is interrupted anywhere, with damage
 * refused or set aside. A second repair has nothing to do.
 */

import { Blobstore, BlobstoreError, checkStore, isRepairable, type LoadOptions, runSync } from '@blobyard/core';
import type { Choices } from '../random.js';
import { type BaseImage, loadOptions, readAll } from './base-image.js';
import { ImageDevice } from './image-device.js';

/** The data of each blob that is not set aside, or the code of the error why it cannot be read. */
type Contents = ReadonlyMap<bigint, Buffer | string>;
type OnDamage = LoadOptions['onDamage'];

export function holdRepair(image: Uint8Array, base: BaseImage, random: Choices): void {
  const found = runSync(checkStore(new ImageDevice(image.slice())));
  const device = new ImageDevice(image.slice());
  const report = runSync(checkStore(device, { repair: true }));
  const hasHelped = report.findings.some(({ severity, outcome }) => severity === 'damage' && outcome === 'repaired');
  if (isRepairable(found)) require(hasHelped, 'a repair was advised, and settled nothing');
  const before = look(image, base, 'refuse');
  requireKept(before, look(device.bytes, base, 'refuse'), 'opened after a repair');
  requireKept(look(image, base, 'set-aside'), look(device.bytes, base, 'set-aside'), 'set aside after a repair');
  if (report.outcome === 'clean') require(before !== undefined, 'a store is refused that is called clean');
  if (report.outcome === 'repaired') {
    require(look(device.bytes, base, 'refuse') !== undefined, 'a store is refused that is called repaired');
  }
  requireNothingToDo(device);
  cutOff(image, base, before, device.writes, random);
}

/** The blobs that a user sees in a store; undefined if it is refused. The image does not change. */
function look(image: Uint8Array, base: BaseImage, onDamage: OnDamage): Contents | undefined {
  try {
    const store = runSync(Blobstore.load(new ImageDevice(image.slice()), { ...loadOptions(base), onDamage }));
    const contents = new Map<bigint, Buffer | string>();
    const damaged = new Set(store.damaged.map(({ id }) => id));
    for (const id of store.blobIds()) if (!damaged.has(id)) contents.set(id, read(store, id));
    runSync(store.abandon());
    return contents;
  } catch (error) {
    codeOf(error);
    return undefined;
  }
}

function read(store: Blobstore, id: bigint): Buffer | string {
  const channel = store.openChannel();
  try {
    const blob = runSync(store.openBlob(id));
    const content = Buffer.from(readAll(channel, blob));
    runSync(store.closeBlob(blob));
    return content;
  } catch (error) {
    return codeOf(error);
  } finally {
    runSync(store.closeChannel(channel));
  }
}

function codeOf(error: unknown): string {
  if (error instanceof BlobstoreError) return error.code;
  throw error;
}

/**
 * Throws unless all that could be read before can be read after. A store that was refused before may have any blobs.
 */
function requireKept(before: Contents | undefined, after: Contents | undefined, when: string): void {
  if (!before) return;
  require(after !== undefined, `refused when it is ${when}`);
  for (const [id, content] of before) {
    const now = after.get(id);
    if (typeof content === 'string') continue;
    require(now !== undefined, `blob ${id} is not there when it is ${when}`);
    require(typeof now !== 'string', `blob ${id} cannot be read (${now}) when it is ${when}`);
    require(content.equals(now), `blob ${id} reads otherwise when it is ${when}`);
  }
  for (const id of after.keys()) require(before.has(id), `blob ${id} was not listed, and is when it is ${when}`);
}

function requireNothingToDo(repaired: ImageDevice): void {
  const device = new ImageDevice(repaired.bytes.slice());
  const { findings } = runSync(checkStore(device, { repair: true }));
  const done = findings.find(({ outcome }) => outcome === 'repaired');
  require(done === undefined, `a second repair had something to do: ${done?.message}`);
  require(Buffer.from(device.bytes).equals(repaired.bytes), 'a second repair wrote something');
}

/** Cuts the power in the middle of a repair, after a random number of its writes. */
function cutOff(
  image: Uint8Array,
  base: BaseImage,
  before: Contents | undefined,
  writes: number,
  random: Choices,
): void {
  if (writes === 0) return;
  const device = new ImageDevice(image.slice());
  device.writesMax = random.below(writes);
  try {
    runSync(checkStore(device, { repair: true }));
  } catch (error) {
    // A real process ends with the power cut. This one goes on, and may fail because writes were lost.
    if (device.writes <= device.writesMax) throw error;
  }
  const when = `opened after ${device.writesMax} of ${writes} writes of a repair`;
  requireKept(before, look(device.bytes, base, 'refuse'), when);
}

function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
