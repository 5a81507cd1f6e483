/**
 * The disks that a recorded workload may leave if the power is cut, or the process is killed, at one of its moments.
 */

import type { Random } from '../random.js';
import { type Change, chooseFate, keptPieces, put, shuffle } from '../sim/tearing.js';
import { REQUEST, type RecordedRequest } from './recording.js';

/** `power`: the power was cut. `kill`: only the process was killed, and the device goes on. */
export type CutKind = 'power' | 'kill';

export interface Cut {
  readonly kind: CutKind;
  /** The number of the moment (`Recording`). All that has a lower number happened before the cut. */
  readonly moment: number;
  /** The seed of the random numbers that decide which of the uncertain writes are on the disk. */
  readonly seed: number;
}

const CERTAIN = -1;

/** Makes disks of one recording. It is fast if the moments of the cuts are in ascending order. */
export class Disks {
  readonly #image: Uint8Array;
  readonly #dataStart: number;
  /** The changes, in the order in which they took effect. */
  readonly #changes: readonly RecordedRequest[];
  readonly #flushes: readonly RecordedRequest[];
  readonly #bases: Record<CutKind, Base>;
  readonly #disk: Uint8Array;

  /**
   * @param image - the disk before the first request
   * @param dataStart - the offset on the disk at which data clusters begin, in bytes
   */
  constructor(image: Uint8Array, dataStart: number, requests: readonly RecordedRequest[]) {
    const ordered = [...requests].sort((one, other) => one.effect - other.effect || one.begin - other.begin);
    this.#image = image;
    this.#dataStart = dataStart;
    this.#changes = ordered.filter(({ kind }) => kind !== REQUEST.FLUSH);
    this.#flushes = ordered.filter(({ kind }) => kind === REQUEST.FLUSH);
    this.#bases = { power: baseOf(image), kill: baseOf(image) };
    this.#disk = image.slice();
  }

  /** The disk after a cut. The array is reused: the next call overwrites it. */
  after({ kind, moment }: Cut, random: Random): Uint8Array {
    // After a power cut, writes that had ended before a completed flush began are certain. After a kill, all that had
    // ended are.
    const certainUntil = kind === 'kill' ? moment : this.#flushedUntil(moment);
    const base = this.#baseAt(kind, certainUntil);
    const disk = this.#disk;
    disk.set(base.disk);
    const rest = this.#changes.slice(base.count).filter(({ begin }) => begin < moment);
    const isDone = ({ effect }: RecordedRequest) => effect < moment;
    const pending = rest.filter((request) => !isDone(request));
    const ordered = [...rest.filter(isDone), ...shuffle(random, pending)];
    const isCertain = ({ end }: RecordedRequest) => end < certainUntil;
    const keeps = chooseFate(random, ordered.filter((request) => !isCertain(request)).length);
    let uncertain = 0;
    for (const request of ordered) {
      const index = isCertain(request) ? CERTAIN : uncertain++;
      const isKept = (piece: number, pieces: number) => index === CERTAIN || keeps(index, piece, pieces);
      for (const piece of keptPieces(changeOf(request), this.#dataStart, isKept)) put(disk, piece);
    }
    return disk;
  }

  #flushedUntil(moment: number): number {
    return this.#flushes.reduce((until, { begin, end }) => (end < moment ? Math.max(until, begin) : until), 0);
  }

  #baseAt(kind: CutKind, until: number): Base {
    if (until < this.#bases[kind].until) this.#bases[kind] = baseOf(this.#image);
    const base = this.#bases[kind];
    base.until = until;
    for (; base.count < this.#changes.length && this.#changes[base.count].end < until; base.count++) {
      put(base.disk, changeOf(this.#changes[base.count]));
    }
    return base;
  }
}

/** A disk with all changes up to some number, all of which had ended before a moment. */
interface Base {
  readonly disk: Uint8Array;
  until: number;
  count: number;
}

function baseOf(image: Uint8Array): Base {
  return { disk: image.slice(), until: 0, count: 0 };
}

function changeOf({ at, length, bytes }: RecordedRequest): Change {
  return { at, length, bytes };
}
