/**
 * The operations of threads and metadata sides, which depend only on the seed and the name of the thread. Blobs and
 * offsets are arbitrary numbers, which are mapped to existing ones when the operation is executed, since those depend
 * on how the threads interleave.
 */

import { Random } from '../random.js';

/** The operations of a thread on data, with their relative frequencies. */
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

/** The operations of a metadata side, with their relative frequencies. */
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
  /** True: the synchronous form, if it is available on the thread. */
  readonly isSync: boolean;
  /**
   * Arbitrary numbers that select the blob, the first block, the number of blocks, and the variant of the operation.
   */
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

/** The relative frequencies of operations. */
export interface Weights {
  readonly data: Readonly<Record<DataKind, number>>;
  readonly metadata: Readonly<Record<MetadataKind, number>>;
}

/** The endless sequence of a thread's operations. */
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

/** The endless sequence of a metadata side's operations. */
export function* metadataSchedule(
  seed: number,
  name: string,
  weights: Weights['metadata'] = METADATA_WEIGHTS,
): Generator<MetadataOperation, never> {
  const random = new Random(seed, name);
  const draw = drawer(weights, random);
  for (;;) yield { kind: draw(), blob: random.next(), size: random.next(), variant: random.next() };
}

/** Returns a function that draws random keys, with frequencies proportional to their weights. */
function drawer<Kind extends string>(weights: Readonly<Record<Kind, number>>, random: Random): () => Kind {
  const kinds = (Object.keys(weights) as Kind[]).flatMap((kind) => Array<Kind>(weights[kind]).fill(kind));
  return () => kinds[random.below(kinds.length)];
}
