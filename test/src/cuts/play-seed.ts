/** One seed: a store is made on a recording device and worked on for some rounds, and the disks are judged that each may leave. */

import type { Durability } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { createStore } from '@blobyard/workers';
import type { Medium } from '../stress/medium.js';
import { Random } from '../stress/random.js';
import { addAll, type CarriedBlob, Round, type StressMode } from '../stress/round.js';
import { DATA_WEIGHTS, METADATA_WEIGHTS, type Weights } from '../stress/schedule.js';
import { allocateLog, SharedLog } from '../stress/shared-log.js';
import { judge, type WrongDisk } from './judge.js';
import type { Recorded } from './recorded.js';
import { allocateRecording, Recording, type RecordingBuffers, recordAnew } from './recording.js';
import type { RecordingDeviceOptions } from './recording-device.js';
import { toldOf } from './told.js';

export interface SeedResult {
  readonly seed: number;
  readonly text: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly findings: readonly string[];
  /** Undefined where the live store was wrong already. */
  readonly recorded: Recorded | undefined;
  readonly wrong: WrongDisk | undefined;
}

/** Disks that are judged of each round, unless told otherwise. */
export const DISKS_DEFAULT = 40;

const MODES: readonly StressMode[] = ['pool', 'attached', 'mixed'];
const ROUNDS = 2;
const THREADS = 2;
const ROUND_MS_MAX = 5000;
/** How long a seed may take. */
const PATIENCE_MS = 300_000;
const STALL_MS_MAX = 3;
const BLOBS_AT_ONCE = 10;
const LOG = { operationsMax: 4096, readsMax: 4096 };
const RECORDING = { requestsMax: 1 << 15, bytesMax: 1 << 28, enough: 1600 };
/** More of what changes metadata and of what makes durable than in a stress, beside what makes disks differ. */
const WEIGHTS: Weights = {
  data: {
    ...DATA_WEIGHTS,
    trim: 8,
    read: 4,
    readv: 1,
    readSnapshot: 4,
    writeSnapshot: 0,
    flush: 5,
    close: 6,
    rest: 24,
  },
  metadata: { ...METADATA_WEIGHTS, flush: 5, xattr: 6, rest: 3 },
};

/** What a seed decides before anything runs. */
interface Configuration {
  readonly mode: StressMode;
  readonly durability: Durability;
  readonly isAsynchronous: boolean;
  readonly blockLengthBytes: number;
  readonly canCopy: boolean;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  readonly mdPageCount: number;
}

/** A dozen seeds one after another have each mode at each level, on devices that answer at once and later. */
function configurationOf(seed: number): Configuration {
  const random = new Random(seed, 'cuts');
  return {
    mode: MODES[seed % MODES.length],
    durability: Math.floor(seed / 3) % 2 === 0 ? 'power-loss' : 'process-crash',
    isAsynchronous: Math.floor(seed / 6) % 2 === 1,
    blockLengthBytes: random.below(2) === 0 ? 512 : 4096,
    canCopy: random.below(2) === 0,
    clusterBytes: 8192 << random.below(2),
    clusterCount: 180 + random.below(160),
    mdPageCount: 48 + random.below(48),
  };
}

export async function playSeed(seed: number, disks: number = DISKS_DEFAULT): Promise<SeedResult> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<SeedResult>((resolve) => {
    const failure = { findings: ['it hangs'], recorded: undefined, wrong: undefined };
    timer = setTimeout(() => resolve({ seed, text: '', counts: {}, failure }), PATIENCE_MS);
  });
  const result = await Promise.race([play(seed, disks), hangs]);
  clearTimeout(timer);
  return result;
}

async function play(seed: number, disks: number): Promise<SeedResult> {
  const configuration = configurationOf(seed);
  const text = Object.values(configuration).join(', ');
  const counts: Record<string, number> = {};
  const store = await RecordedStore.create(seed, configuration);
  for (let round = 0; round < ROUNDS; round++) {
    const { findings, recorded, done } = await store.work(round, text);
    addAll(counts, done);
    if (findings.length > 0) return { seed, text, counts, failure: { findings, recorded, wrong: undefined } };
    const { judged, wrong } = await judge(recorded, disks);
    addAll(counts, { disks: judged });
    if (wrong) return { seed, text, counts, failure: { findings: wrong.findings, recorded, wrong } };
  }
  return { seed, text, counts, failure: undefined };
}

class RecordedStore {
  readonly #seed: number;
  readonly #configuration: Configuration;
  readonly #device: MemoryDevice;
  readonly #deviceBytesMax: number;
  readonly #dataStart: number;
  #blobs: readonly CarriedBlob[] = [];
  #sequences: readonly number[] = [];

  private constructor(
    seed: number,
    configuration: Configuration,
    device: MemoryDevice,
    bytesMax: number,
    start: number,
  ) {
    this.#seed = seed;
    this.#configuration = configuration;
    this.#device = device;
    this.#deviceBytesMax = bytesMax;
    this.#dataStart = start;
  }

  /** What the device held before is noise: a store must not show it. */
  static async create(seed: number, configuration: Configuration): Promise<RecordedStore> {
    const { clusterBytes, clusterCount, blockLengthBytes, canCopy, mdPageCount, durability } = configuration;
    const sizeBytes = clusterBytes * clusterCount;
    const maxSizeBytes = sizeBytes + 64 * clusterBytes;
    const device = MemoryDevice.create({ sizeBytes, maxSizeBytes, arenaBytes: 1 << 20, blockLengthBytes, canCopy });
    device.bytes().fill(0xa5);
    const made = await createStore({ device, clusterSizeBytes: clusterBytes, mdPageCount, durability });
    const dataStart = made.engine.blobstore.geometry.metadataClusterCount() * clusterBytes;
    await made.close();
    return new RecordedStore(seed, configuration, device, maxSizeBytes, dataStart);
  }

  /** One round, recorded. */
  async work(
    round: number,
    text: string,
  ): Promise<{ findings: readonly string[]; recorded: Recorded; done: Record<string, number> }> {
    const { mode, durability, isAsynchronous, clusterBytes, blockLengthBytes } = this.#configuration;
    const seed = this.#seed;
    const log = allocateLog(LOG);
    const buffers = newRecording(log);
    const before = this.#device.bytes().slice();
    const options = { seed, round, milliseconds: ROUND_MS_MAX, threads: THREADS, mode, durability, kill: false };
    const work = new Round(
      {
        ...options,
        kind: isAsynchronous ? 'async' : 'slow',
        medium: this.#medium(buffers),
        deviceBytesMax: this.#deviceBytesMax,
        clusterBytes,
        log,
        weights: WEIGHTS,
        blobsAtOnce: BLOBS_AT_ONCE,
        metadataSides: 4,
      },
      this.#sequences,
    );
    const { blobs, sequences, findings, counts } = await work.run(this.#blobs);
    this.#blobs = blobs;
    this.#sequences = sequences;
    const recording = new Recording(buffers);
    const shared = new SharedLog(log);
    const requests = recording.requests();
    const image = new Uint8Array(this.#device.bytes().length); // it may have grown
    image.set(before);
    const recorded: Recorded = {
      ...{ seed, round, text, image, blockLengthBytes, dataStart: this.#dataStart, requests },
      end: Math.min(shared.now(), recording.fullAt),
      told: toldOf(durability, shared, work.blobs),
    };
    return { findings, recorded, done: { requests: requests.length, operations: counts.operations ?? 0 } };
  }

  #medium(recording: RecordingBuffers): Medium {
    const device = this.#device;
    const { isAsynchronous, blockLengthBytes, canCopy } = this.#configuration;
    const module = new URL('../../dist/cuts/recording-device.js', import.meta.url).href;
    const { memory } = device;
    const options: RecordingDeviceOptions = { memory, isAsynchronous, stallMsMax: STALL_MS_MAX, recording };
    return {
      given: { kind: 'custom', module, options },
      device,
      copy: () => MemoryDevice.fromBytes(device.bytes(), { blockLengthBytes, canCopy }),
      remove: () => undefined,
    };
  }
}

let room: RecordingBuffers | undefined;

/** The room of one recording serves the next. */
function newRecording(log: RecordingBuffers['log']): RecordingBuffers {
  room = room === undefined ? allocateRecording(log, RECORDING) : recordAnew(room, log);
  return room;
}
