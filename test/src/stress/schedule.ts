/**
 * What threads and the metadata side are going to do, one operation after another: drawn from the seed and the thread's name
 * alone. Operations name blobs and places by any numbers, since what is there to be named depends on how the threads interleave.
 */

import { Random } from '../random.js';

/** Operations of a thread on data, and how often each is drawn. */
export const DATA_WEIGHTS = {
  write: 30,
  writev: 8,
  writeZeroes: 4,
  trim: 6,
  read: 24,
  readv: 6,
  readSnapshot: 14,
  writeSnapshot: 1,
  close: 4,
  flush: 1,
  rest: 2,
} as const;
export type DataKind = keyof typeof DATA_WEIGHTS;

/** Operations of the metadata side. */
export const METADATA_WEIGHTS = {
  create: 8,
  snapshot: 16,
  clone: 10,
  inflate: 4,
  decouple: 5,
  delete: 18,
  resize: 8,
  xattr: 4,
  sync: 4,
  flush: 3,
  grow: 1,
  rest: 10,
} as const;
export type MetadataKind = keyof typeof METADATA_WEIGHTS;

export interface DataOperation {
  readonly kind: DataKind;
  /** The Sync form, if the thread has one. */
  readonly isSync: boolean;
  /** Which blob, which block, how many, and what else is to be decided: any numbers. */
  readonly blob: number;
  readonly at: number;
  readonly length: number;
  readonly variant: number;
}

export interface MetadataOperation {
  readonly kind: MetadataKind;
  readonly blob: number;
  readonly size: number;
  readonly variant: number;
}

/** How often which operations are drawn. */
export interface Weights {
  readonly data: Readonly<Record<DataKind, number>>;
  readonly metadata: Readonly<Record<MetadataKind, number>>;
}

/** The operations of a thread, without end. */
export function* dataSchedule(
  seed: number,
  name: string,
  weights: Weights['data'] = DATA_WEIGHTS,
): Generator<DataOperation, never> {
  const random = new Random(seed, name);
  const draw = drawer(weights, random);
  for (;;) {
    yield {
      kind: draw(),
      isSync: random.below(2) === 0,
      blob: random.next(),
      at: random.next(),
      length: random.next(),
      variant: random.next(),
    };
  }
}

/** The operations of the metadata side, without end. */
export function* metadataSchedule(
  seed: number,
  name: string,
  weights: Weights['metadata'] = METADATA_WEIGHTS,
): Generator<MetadataOperation, never> {
  const random = new Random(seed, name);
  const draw = drawer(weights, random);
  for (;;) yield { kind: draw(), blob: random.next(), size: random.next(), variant: random.next() };
}

/** Draws keys as often as their weights say. */
function drawer<Kind extends string>(weights: Readonly<Record<Kind, number>>, random: Random): () => Kind {
  const kinds = (Object.keys(weights) as Kind[]).flatMap((kind) => Array<Kind>(weights[kind]).fill(kind));
  return () => kinds[random.below(kinds.length)];
}
