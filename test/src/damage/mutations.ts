/** The mutations of an image: each makes a part of the metadata wrong, at random places and with random values. */

import { crc32c } from '@blobyard/core';
import type { Choices } from '../random.js';
import { type BaseImage, PAGE_BYTES } from './base-image.js';

/** An image that is being damaged. */
export class Victim {
  readonly base: BaseImage;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The mutations so far, as text for people. */
  readonly log: string[] = [];

  constructor(base: BaseImage, bytes: Uint8Array) {
    bytes.set(base.bytes);
    this.base = base;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The offset of a metadata page in the image, in bytes. */
  at(page: number): number {
    return (this.base.mdStartPage + page) * PAGE_BYTES;
  }

  seal(at: number): void {
    this.view.setUint32(at + 4092, crc32c(this.bytes, at, 4092), true);
  }
}

type Mutate = (victim: Victim, random: Choices) => string;

const HOSTILE_U32 = [
  0, 1, 2, 3, 5, 511, 512, 513, 4096, 0xffff, 0x1_0000, 0xf_ffff, 0x10_0001, 0x7fff_ffff, 0x8000_0000,
];
const DESCRIPTORS_AT = 16;
const DESCRIPTORS_END = 4088;

function hostile(random: Choices, victim: Victim): number {
  const { mdPageCount, bytes } = victim.base;
  const near = [mdPageCount, mdPageCount - 1, bytes.length / PAGE_BYTES, bytes.length / PAGE_BYTES - 1];
  const choices = [...HOSTILE_U32, ...near, 0xffff_fffe, 0xffff_ffff, random.below(mdPageCount), random.next()];
  return pick(random, choices);
}

function pick<T>(random: Choices, list: readonly T[]): T {
  return list[random.below(list.length)];
}

/** A random metadata page, most of the time one of a blob. */
function somePage(random: Choices, { base }: Victim): number {
  if (random.below(10) === 0) return random.below(base.mdPageCount);
  return pick(random, pick(random, base.blobs).pages);
}

function someCluster(random: Choices, { base }: Victim): number {
  const owners = base.blobs.filter((blob) => blob.clusters.length > 0);
  return pick(random, pick(random, owners).clusters);
}

/** The descriptors of a page up to the first invalid one: type, offset in the image and length of the payload. */
function descriptors(victim: Victim, page: number): { type: number; at: number; bytes: number }[] {
  const start = victim.at(page);
  const found: { type: number; at: number; bytes: number }[] = [];
  for (let at = DESCRIPTORS_AT; at + 5 <= DESCRIPTORS_END; ) {
    const type = victim.view.getUint8(start + at);
    const bytes = victim.view.getUint32(start + at + 1, true);
    if (type === 0 || at + 5 + bytes > DESCRIPTORS_END) break;
    found.push({ type, at: start + at + 5, bytes });
    at += 5 + bytes;
  }
  return found;
}

const flipBits: Mutate = (victim, random) => {
  const page = somePage(random, victim);
  const count = 1 + random.below(4);
  for (let flip = 0; flip < count; flip++) {
    victim.bytes[victim.at(page) + random.below(PAGE_BYTES)] ^= 1 << random.below(8);
  }
  return sealMaybe(victim, random, page, `${count} bits of page ${page}`);
};

const changeFrame: Mutate = (victim, random) => {
  const page = somePage(random, victim);
  const at = victim.at(page);
  const field = random.below(4);
  const other = random.below(2) === 0 ? somePage(random, victim) : hostile(random, victim);
  if (field === 0) victim.view.setUint32(at, other, true);
  else if (field === 1) victim.view.setUint32(at + 4, random.below(3), true);
  else if (field === 2) victim.view.setUint32(at + 8, other, true);
  else victim.view.setUint32(at + 4088, other, true);
  return sealMaybe(victim, random, page, `${['id', 'high id', 'sequence', 'link'][field]} of page ${page}: ${other}`);
};

const changeDescriptor: Mutate = (victim, random) => {
  const page = somePage(random, victim);
  const found = descriptors(victim, page);
  if (found.length === 0) return flipBits(victim, random);
  const { at, bytes } = pick(random, found);
  if (random.below(2) === 0) {
    const type = random.below(9);
    victim.view.setUint8(at - 5, type);
    return sealMaybe(victim, random, page, `type ${type} on page ${page}`);
  }
  const lengths = [0, bytes - 1, bytes + 1, bytes - 8, bytes + 8, bytes + 4, 4067, 4072, hostile(random, victim)];
  const length = pick(random, lengths) >>> 0;
  victim.view.setUint32(at - 4, length, true);
  return sealMaybe(victim, random, page, `length ${length} on page ${page}`);
};

/**
 * Changes a word of 32 bits in a descriptor: a cluster, the length of a run, an extent page, a count, a flag, an id.
 */
const changeWord: Mutate = (victim, random) => {
  const page = somePage(random, victim);
  const found = descriptors(victim, page).filter(({ bytes }) => bytes >= 4);
  if (found.length === 0) return flipBits(victim, random);
  const { type, at, bytes } = pick(random, found);
  const place = at + 4 * random.below(Math.floor(bytes / 4));
  const values = [hostile(random, victim), someCluster(random, victim), somePage(random, victim)];
  const value = pick(random, values);
  victim.view.setUint32(place, value, true);
  return sealMaybe(victim, random, page, `a word of a descriptor of type ${type} on page ${page}: ${value}`);
};

/**
 * Changes the xattr with a blob's parent, or with the mark of a snapshot being made or deleted, to the id of another
 * blob. This also makes cycles, two parents, and none.
 */
const changeParent: Mutate = (victim, random) => {
  const all = victim.base.blobs.flatMap(({ pages }) =>
    pages.flatMap((page) => descriptors(victim, page).map((found) => ({ page, found }))),
  );
  const internal = all.filter(({ found }) => found.type === 4);
  if (internal.length === 0) return flipBits(victim, random);
  const { page, found } = pick(random, internal);
  const id = random.below(4) === 0 ? hostile(random, victim) : pick(random, victim.base.blobs).pages[0];
  const nameBytes = victim.view.getUint16(found.at, true);
  if (found.bytes >= 4 + nameBytes + 8) victim.view.setUint32(found.at + 4 + nameBytes, id, true);
  return sealMaybe(victim, random, page, `internal xattr on page ${page} names ${id}`);
};

const movePage: Mutate = (victim, random) => {
  const from = somePage(random, victim);
  const to = somePage(random, victim);
  const bytes = victim.bytes.slice(victim.at(from), victim.at(from) + PAGE_BYTES);
  const other = victim.bytes.slice(victim.at(to), victim.at(to) + PAGE_BYTES);
  victim.bytes.set(bytes, victim.at(to));
  const isSwap = random.below(2) === 0;
  if (isSwap) victim.bytes.set(other, victim.at(from));
  return `page ${from} ${isSwap ? 'and' : 'over'} page ${to}`;
};

const erasePage: Mutate = (victim, random) => {
  const page = somePage(random, victim);
  const at = victim.at(page);
  const how = random.below(3);
  if (how === 0) victim.bytes.fill(0, at, at + PAGE_BYTES);
  else if (how === 1) victim.bytes.fill(0xff, at, at + PAGE_BYTES);
  else scatter(victim.bytes, random, at, at + PAGE_BYTES);
  return sealMaybe(victim, random, page, `page ${page} made ${['zeroes', 'ones', 'noise'][how]}`);
};

const changeMask: Mutate = (victim, random) => {
  const mask = pick(random, victim.base.masks);
  const at = mask.start * PAGE_BYTES;
  switch (random.below(5)) {
    case 0:
      victim.bytes[at] = random.below(5);
      return `type of the mask on page ${mask.start}`;
    case 1:
      victim.view.setUint32(at + 1, hostile(random, victim), true);
      return `length of the mask on page ${mask.start}`;
    case 2:
      victim.bytes.fill(random.below(2) * 255, at + 5, at + 5 + 1 + random.below(64));
      return `bits of the mask on page ${mask.start} made the same`;
    case 3:
      scatter(victim.bytes, random, at, at + PAGE_BYTES);
      return `noise for the mask on page ${mask.start}`;
    default:
      victim.bytes[at + 5 + random.below(40)] ^= 1 << random.below(8);
      return `a bit of the mask on page ${mask.start}`;
  }
};

const changeSuper: Mutate = (victim, random) => {
  const at = 4 * random.below(24);
  const value = hostile(random, victim);
  victim.view.setUint32(at, value, true);
  if (random.below(4) !== 0) victim.seal(0);
  return `super block, byte ${at}: ${value}`;
};

const makeNoise: Mutate = (victim, random) => {
  const { base, bytes } = victim;
  const end = (base.mdStartPage + base.mdPageCount) * PAGE_BYTES;
  const start = random.below(3) === 0 ? 0 : PAGE_BYTES;
  for (let burst = 1 + random.below(40); burst > 0; burst--) {
    const at = start + random.below(end - start);
    scatter(bytes, random, at, Math.min(end, at + 1 + random.below(64)));
  }
  if (random.below(2) === 0) {
    for (let page = 0; page < base.mdPageCount; page++) {
      if (bytes[victim.at(page)] !== 0 || random.below(4) === 0) victim.seal(victim.at(page));
    }
  }
  return 'noise all over';
};

const MUTATIONS: readonly Mutate[] = [
  flipBits,
  changeFrame,
  changeFrame,
  changeDescriptor,
  changeDescriptor,
  changeWord,
  changeWord,
  changeWord,
  changeWord,
  changeParent,
  changeParent,
  movePage,
  erasePage,
  changeMask,
  changeSuper,
  makeNoise,
];

/** Damages an image by one to four mutations. */
export function mutate(victim: Victim, random: Choices): void {
  const count = 1 + random.below(4);
  for (let done = 0; done < count; done++) victim.log.push(pick(random, MUTATIONS)(victim, random));
}

function sealMaybe(victim: Victim, random: Choices, page: number, what: string): string {
  if (random.below(3) === 0) return what;
  victim.seal(victim.at(page));
  return `${what}, sealed`;
}

function scatter(bytes: Uint8Array, random: Choices, start: number, end: number): void {
  for (let at = start; at < end; at++) bytes[at] = random.below(256);
}
