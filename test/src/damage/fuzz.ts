/** Damaged images by number. For the same number, the image and all that is done with it are the same. */

import { type Choices, Random } from '../random.js';
import { baseImages, laterImages } from './base-image.js';
import { examine, type Outcome } from './examine.js';
import { leaveBehind } from './leftovers.js';
import { coverWithMark } from './marks.js';
import { mutate, Victim } from './mutations.js';

/** An image with which something failed. */
export class ImageFailure extends Error {
  readonly image: number;

  constructor(image: number, what: string, cause: unknown) {
    super(`image ${image} (${what}): ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`);
    this.image = image;
  }
}

export type Counts = Partial<Record<Outcome, number>>;

const buffers = new Map<number, Uint8Array>();

/** Makes an image and examines it. Throws `ImageFailure` if something is wrong. */
export function tryImage(image: number): Outcome {
  return tryChosen(image, new Random(image, 'damage'), new Random(image, 'leftovers'));
}

/**
 * As `tryImage`, with given sources of decisions.
 * @param later - decides whether the image gets leftovers, and which
 */
export function tryChosen(image: number, random: Choices, later: Choices): Outcome {
  const leavesSome = later.below(2) === 0;
  const bases = leavesSome ? laterImages() : baseImages();
  const base = bases[random.below(bases.length)];
  const bytes = buffers.get(base.bytes.length) ?? new Uint8Array(base.bytes.length);
  buffers.set(base.bytes.length, bytes);
  const victim = new Victim(base, bytes);
  if (leavesSome) leaveBehind(victim, later);
  if (!leavesSome || later.below(2) === 0) mutate(victim, random);
  coverWithMark(bytes, { ...base, maskStart: base.masks[1].start });
  try {
    return examine(victim, random);
  } catch (error) {
    throw new ImageFailure(image, `${base.name}; ${victim.log.join('; ')}`, error);
  }
}

/** Tries images one after another, each `step`-th from `start` on. Returns how many had each outcome. */
export function tryImages(start: number, count: number, step = 1): Counts {
  const counts: Counts = {};
  for (let done = 0; done < count; done++) {
    const outcome = tryImage(start + done * step);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
