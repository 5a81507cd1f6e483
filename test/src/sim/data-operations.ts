/** Reads and changes of data by several channels at once. */

import type { Channel } from '@blobyard/core';
import type { DataKind, DataOperation, ModelBlob } from './model-blob.js';
import { FRESH, putSectors, ZERO } from './sectors.js';
import { SECTOR_BYTES } from './tearing.js';
import type { World } from './world.js';

/** Starts a change or a read of an open blob, in a range without another change under way. False if there is none. */
export function startTransfer(world: World): boolean {
  const reachable = [...world.blobs.values()].filter(isReachable);
  const writable = reachable.filter(({ meta }) => !meta.isReadOnly);
  const blob = world.pick(writable.length > 0 && !world.oneIn(8) ? writable : reachable);
  const channel = world.pick(world.channels);
  if (!blob?.handle || !channel) return false;
  const range = drawRange(world, blob);
  if ([...blob.pending].some((other) => overlap(other, range))) return false;
  const drawn = drawKind(world, blob);
  const kind = drawn !== 'read' && !isWhole(world, range) ? 'write' : drawn;
  if (kind === 'read') startRead(world, channel, blob, range);
  else startChange(world, channel, blob, kind, range);
  return true;
}

interface Range {
  /** The first sector of the blob, and the number of sectors. */
  readonly first: number;
  readonly count: number;
}

function isReachable(blob: ModelBlob): boolean {
  return blob.handle !== undefined && blob.steadyClusters > 0 && !blob.isClosing;
}

function drawKind({ random }: World, blob: ModelBlob): DataKind | 'read' {
  const draw = blob.meta.isReadOnly ? 0 : random.below(16);
  if (draw < 2) return 'read';
  if (draw < 11) return 'write';
  return draw < 13 ? 'zero' : 'unmap';
}

/**
 * A random range of whole io units, or of sectors if the device takes them. It is often within a cluster, sometimes
 * whole clusters, and rarely parts of several clusters.
 */
function drawRange({ random, configuration, sectorsPerCluster }: World, blob: ModelBlob): Range {
  const perUnit = configuration.takesBytes ? 1 : configuration.blockLengthBytes / SECTOR_BYTES;
  const clusters = blob.steadyClusters;
  const cluster = random.below(random.below(2) === 0 ? clusters : Math.min(clusters, 4));
  if (random.below(3) === 0) {
    const count = Math.min(clusters - cluster, 1 + (random.below(4) === 0 ? random.below(3) : 0));
    return { first: cluster * sectorsPerCluster, count: count * sectorsPerCluster };
  }
  const units = sectorsPerCluster / perUnit;
  const unit = random.below(units);
  const left = clusters * units - (cluster * units + unit);
  const count = Math.min(left, 1 + random.below(random.below(4) === 0 ? 2 * units : 4));
  return { first: (cluster * units + unit) * perUnit, count: count * perUnit };
}

function overlap(a: Range, b: Range): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

function startRead(world: World, channel: Channel, blob: ModelBlob, { first, count }: Range): void {
  const { handle } = blob;
  const operation: DataOperation = { kind: 'read', blob, first, count, token: ZERO };
  if (!handle) return;
  const bytes = new Uint8Array(count * SECTOR_BYTES).fill(0xee);
  blob.pending.add(operation);
  world.scheduler.start(`read blob ${blob.uid}, ${first} +${count}`, async () => {
    if (isWhole(world, { first, count })) await channel.read(handle, bytes, ...inUnits(world, first, count));
    else await channel.readBytes(handle, bytes, first * SECTOR_BYTES, bytes.length);
    blob.pending.delete(operation);
    const finding = blob.checkRead(new Int32Array(bytes.buffer), first, world.isLax, world.lossMoment());
    if (finding) world.scheduler.report(finding);
  });
}

function startChange(world: World, channel: Channel, blob: ModelBlob, kind: DataKind, { first, count }: Range): void {
  const { handle } = blob;
  if (!handle) return;
  const token = kind === 'write' ? world.nextToken() : kind === 'zero' ? ZERO : FRESH;
  const operation: DataOperation = { kind, blob, first, count, token };
  // An unmap of a cluster that is not allocated does nothing: a clone still shows its parent's data there. A snapshot
  // that is made meanwhile makes the blob a clone.
  const { snapshots } = blob;
  const hadParent = blob.meta.parent !== undefined;
  blob.begin(operation);
  world.scheduler.start(`${kind} ${token} to blob ${blob.uid}, ${first} +${count}`, async () => {
    const ends = send(world, channel, handle, operation);
    if (!(await world.scheduler.succeeds(ends, ['ENOSPC', 'ENOMEM']))) return blob.failed(operation);
    const showsParent = hadParent || blob.meta.parent !== undefined || blob.overlapping || blob.snapshots > snapshots;
    blob.done(operation, kind !== 'unmap' || !showsParent, world.lossMoment());
  });
}

function send(
  world: World,
  channel: Channel,
  handle: NonNullable<ModelBlob['handle']>,
  { kind, first, count, token }: DataOperation,
): Promise<void> {
  const [unit, units] = inUnits(world, first, count);
  if (kind === 'zero') return channel.writeZeroes(handle, unit, units);
  if (kind === 'unmap') return channel.unmap(handle, unit, units);
  const bytes = new Uint8Array(count * SECTOR_BYTES);
  putSectors(bytes, token, first);
  if (!isWhole(world, { first, count })) {
    return channel.writeBytes(handle, bytes, first * SECTOR_BYTES, bytes.length);
  }
  if (count < 2 || world.random.below(4) !== 0) return channel.write(handle, bytes, unit, units);
  const middle = (count >> 1) * SECTOR_BYTES;
  return channel.writev(handle, [bytes.subarray(0, middle), bytes.subarray(middle)], unit, units);
}

/** True if a range has only whole io units. */
function isWhole(world: World, { first, count }: Range): boolean {
  return inUnits(world, first, count).every(Number.isInteger);
}

function inUnits({ configuration }: World, first: number, count: number): [number, number] {
  const perUnit = configuration.blockLengthBytes / SECTOR_BYTES;
  return [first / perUnit, count / perUnit];
}
