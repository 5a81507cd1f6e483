/** A store whose device is recorded while threads work on it. */

import type { Durability } from '@blobyard/core';
import { type CustomDeviceSpec, MemoryDevice } from '@blobyard/io';
import { createStore } from '@blobyard/workers';
import { Random } from '../random.js';
import type { Medium } from '../stress/medium.js';
import { type CarriedBlob, Round, type RoundResult, type StressMode } from '../stress/round.js';
import { DATA_WEIGHTS, METADATA_WEIGHTS, type Weights } from '../stress/schedule.js';
import { allocateLog, SharedLog } from '../stress/shared-log.js';
import type { Recorded } from './recorded.js';
import { allocateRecording, Recording, type RecordingBuffers, recordAnew } from './recording.js';
import type { RecordingDeviceOptions } from './recording-device.js';
import { toldOf } from './told.js';

const MODES: readonly StressMode[] = ['pool', 'attached', 'mixed'];
const THREADS = 2;
const ROUND_MS_MAX = 15_000;
const STALL_MS_MAX = 3;
const FILL_MS = 30;
const FILL_LOG = { operationsMax: 64, readsMax: 64 };
const LOG = { operationsMax: 4096, readsMax: 4096 };
const RECORDING = { requestsMax: 1 << 15, bytesMax: 1 << 28, enough: 1600 };
/** The weights of operations. Those that change metadata, or make durable, are more frequent than in a stress run. */
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

/** The configuration of a run, which the seed decides. */
export interface Configuration {
  readonly mode: StressMode;
  readonly durability: Durability;
  readonly isAsynchronous: boolean;
  /** True: the device names the owner of its cache (`BlockDevice.cacheOwner`). */
  readonly namesCacheOwner: boolean;
  readonly blockLengthBytes: number;
  readonly canCopy: boolean;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  readonly mdPageCount: number;
}

/** Twelve seeds in a row have each mode at each durability level, on devices that answer at once and later. */
export function configurationOf(seed: number): Configuration {
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
    namesCacheOwner: random.below(4) > 0,
  };
}

export class RecordedStore {
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

  /** Creates the store on a device full of random bytes, which the store must never show. */
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

  /** Gives the store some blobs before the recording begins. This is a round of its own, on this thread alone. */
  async fill(): Promise<readonly string[]> {
    const log = allocateLog(FILL_LOG);
    const common = { round: 0, milliseconds: FILL_MS, threads: 0, mode: 'attached', kind: 'memory' } as const;
    const medium = this.#medium(this.#device);
    const { findings } = await this.#run(new Round({ ...this.#options(), ...common, log, medium, blobsAtOnce: 6 }, []));
    return findings;
  }

  /** Runs the round that is recorded. */
  async work(text: string): Promise<{ findings: readonly string[]; recorded: Recorded; operations: number }> {
    const { mode, isAsynchronous, blockLengthBytes } = this.#configuration;
    const log = allocateLog(LOG);
    const buffers = newRecording(log);
    const before = this.#device.bytes().slice();
    const common = { round: 1, milliseconds: ROUND_MS_MAX, threads: THREADS, mode, metadataSides: 4 } as const;
    const medium = this.#medium(this.#recordingDevice(buffers));
    const kind = isAsynchronous ? 'async' : 'slow';
    const options = { ...this.#options(), ...common, kind, log, medium, blobsAtOnce: 12 } as const;
    const round = new Round(options, this.#sequences);
    const { findings, counts } = await this.#run(round);
    const shared = new SharedLog(log);
    const recording = new Recording(buffers);
    const image = new Uint8Array(this.#device.bytes().length); // the device may have grown
    image.set(before);
    const recorded: Recorded = {
      ...{ seed: this.#seed, text, image, blockLengthBytes, dataStart: this.#dataStart },
      requests: recording.requests(),
      end: Math.min(shared.now(), recording.fullAt),
      told: toldOf(this.#configuration, shared, round.blobs),
    };
    return { findings, recorded, operations: counts.operations ?? 0 };
  }

  async #run(round: Round): Promise<RoundResult> {
    const result = await round.run(this.#blobs);
    this.#blobs = result.blobs;
    this.#sequences = result.sequences;
    return result;
  }

  #options() {
    const { durability, clusterBytes } = this.#configuration;
    const deviceBytesMax = this.#deviceBytesMax;
    return { seed: this.#seed, durability, kill: false, weights: WEIGHTS, clusterBytes, deviceBytesMax };
  }

  /** @param given - the device, or the spec of a device, with which the store is opened */
  #medium(given: Medium['given']): Medium {
    const device = this.#device;
    const { blockLengthBytes, canCopy } = this.#configuration;
    const copy = () => MemoryDevice.fromBytes(device.bytes(), { blockLengthBytes, canCopy });
    return { given, device, copy, remove: () => undefined };
  }

  #recordingDevice(recording: RecordingBuffers): CustomDeviceSpec {
    const { memory } = this.#device;
    const { isAsynchronous, namesCacheOwner } = this.#configuration;
    const module = new URL('../../dist/cuts/recording-device.js', import.meta.url).href;
    const common = { memory, isAsynchronous, stallMsMax: STALL_MS_MAX };
    const options: RecordingDeviceOptions = { ...common, recording, namesCacheOwner };
    return { kind: 'custom', module, options };
  }
}

let room: RecordingBuffers | undefined;

/** A new recording. It reuses the memory of the one before. */
function newRecording(log: RecordingBuffers['log']): RecordingBuffers {
  room = room === undefined ? allocateRecording(log, RECORDING) : recordAnew(room, log);
  return room;
}
