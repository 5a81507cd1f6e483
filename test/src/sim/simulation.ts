/**
 * Plays one seed: a store is made, and goes through several lives. In each life a random workload runs. Then the power
 * is cut, or the process is killed, or the store is unloaded, which may be cut, too. Then the store is loaded, which
 * may be cut again, and its state must be one that the model allows.
 */

import { Blobstore, BlobstoreError, INVALID_BLOB_ID } from '@blobyard/core';
import { Random } from '../random.js';
import { closeForCertain } from './blob-operations.js';
import { checkAfterCut, checkAtRest } from './check.js';
import { drawConfiguration, type SimConfiguration } from './configuration.js';
import { ExternalSnapshot } from './external-snapshot.js';
import { Finding, Scheduler } from './scheduler.js';
import { SimDevice } from './sim-device.js';
import { enlargeDevice, flushStore, noteDeviceSize } from './store-operations.js';
import { drawStarter, startSomething } from './workload.js';
import { World } from './world.js';

export interface SeedResult {
  readonly seed: number;
  /** The violation of the model that was found, if any. */
  readonly finding: string | undefined;
  /** The last lines of the log before it. */
  readonly lastLines: readonly string[];
  /** A hash of the log: the same if the seed played the same. */
  readonly hash: number;
}

/** A number of requests that is never reached: no cut. */
const NO_CUT = Number.POSITIVE_INFINITY;

export async function playSeed(seed: number, isTracing = false): Promise<SeedResult> {
  const random = new Random(seed, 'simulation');
  const configuration = drawConfiguration(seed, random);
  const { clusterBytes, clusterCount, clusterCountMax, blockLengthBytes } = configuration;
  const { canCopy, knowsZeroes, takesBytes, namesCacheOwner } = configuration;
  const device = new SimDevice({
    sizeBytes: clusterBytes * clusterCount,
    sizeBytesMax: clusterBytes * clusterCountMax,
    blockLengthBytes,
    canCopy,
    knowsZeroes,
    takesBytes,
    namesCacheOwner,
  });
  const scheduler = new Scheduler(random, device, isTracing);
  scheduler.log(`seed ${seed}: ${JSON.stringify(configuration)}`);
  const external = ExternalSnapshot.of(seed, configuration);
  const simulation = new Simulation(new World(configuration, device, scheduler, external));
  let finding: string | undefined;
  try {
    await simulation.play();
  } catch (error) {
    finding = error instanceof Finding ? error.message : error instanceof Error ? error.stack : String(error);
  }
  return { seed, finding, lastLines: scheduler.lastLines, hash: scheduler.hash };
}

class Simulation {
  readonly #world: World;
  readonly #scheduler: Scheduler;
  readonly #configuration: SimConfiguration;
  /** The number of stores made on this device so far. Each has another bstype. */
  #made = 0;

  constructor(world: World) {
    this.#world = world;
    this.#scheduler = world.scheduler;
    this.#configuration = world.configuration;
  }

  async play(): Promise<void> {
    await this.#make();
    for (let life = 1; life < this.#configuration.lives; life++) {
      await this.#live();
      if (this.#world.oneIn(10)) await this.#makeAnew();
    }
    await this.#live();
    await this.#restAndUnload(NO_CUT);
    await this.#load('load', false);
    await checkAtRest(this.#world);
  }

  /** One life of a store: from an open store to the next. */
  async #live(): Promise<void> {
    const world = this.#world;
    await this.#work();
    switch (world.random.below(8)) {
      case 0:
        return await this.#unloadAndLoad();
      case 1:
        return await this.#cutAndRecover('kill');
      case 2:
        await this.#rest();
        await checkAtRest(world);
        return await this.#cutAndRecover('power');
      default:
        return await this.#cutAndRecover('power');
    }
  }

  /** Runs a workload up to the cut: at any point, or soon after an operation of a certain kind has begun. */
  async #work(): Promise<void> {
    const world = this.#world;
    const { restraint } = this.#configuration;
    const start = () => startSomething(world);
    const requests = 1 + world.random.below(world.oneIn(6) ? 300 : world.oneIn(4) ? 12 : 90);
    await this.#scheduler.drive(() => false, requests, restraint, start);
    if (world.oneIn(2)) return;
    const target = drawStarter(world);
    world.lastStarter = undefined;
    await this.#scheduler.drive(() => world.lastStarter === target, 60, restraint, start);
    await this.#scheduler.drive(() => false, world.random.below(14), restraint, start);
  }

  async #make(): Promise<void> {
    const { clusterBytes, mdPageCount, durability } = this.#configuration;
    const world = this.#world;
    const bstype = new Uint8Array(16);
    for (;;) {
      bstype[0] = ++this.#made;
      const clearMethod = world.oneIn(2) ? 'unmap' : 'write_zeroes';
      const { openExternalSnapshot } = this.#loadOptions();
      const options = { clusterBytes, mdPageCount, durability, bstype, clearMethod, openExternalSnapshot } as const;
      const cutAfter = world.oneIn(2) ? world.random.below(6) : NO_CUT;
      world.device.dataStart = Number.POSITIVE_INFINITY;
      const end = await this.#scheduler.driveOne(
        'init',
        async () => {
          world.store = await this.#scheduler.steps(Blobstore.init(world.device, options));
        },
        cutAfter,
      );
      if (end === 'done') break;
      await this.#cut(world.losesUnflushed ? 'power' : 'kill');
      if (await this.#wasMade()) break;
    }
    const { geometry } = world.store;
    world.device.dataStart = geometry.metadataClusterCount() * clusterBytes;
    world.blobs.clear();
    world.undecided.clear();
    world.superBlobs = [{ value: INVALID_BLOB_ID, since: 0 }];
    world.clusterCounts = [{ value: world.store.dataClusterCount, since: 0 }];
    this.#openChannels();
  }

  /** Whether a store that was being made at the power cut exists. If it does, it must be complete. */
  async #wasMade(): Promise<boolean> {
    const world = this.#world;
    try {
      world.device.isInstant = true;
      world.store = await this.#scheduler.steps(Blobstore.load(world.device, this.#loadOptions()));
    } catch (error) {
      if (error instanceof BlobstoreError && ['EILSEQ', 'ENXIO'].includes(error.code)) return false;
      throw error;
    } finally {
      world.device.isInstant = false;
    }
    if (world.store.blobIds().length > 0) throw new Finding('a store that was just made has blobs');
    return true;
  }

  /** Makes another store over this one. */
  async #makeAnew(): Promise<void> {
    await this.#cut('power');
    this.#scheduler.log('another store is made');
    await this.#make();
  }

  /** Cuts the power or kills the process, and opens the store again, which may be cut several times. */
  async #cutAndRecover(what: 'power' | 'kill'): Promise<void> {
    const world = this.#world;
    // With `process-crash` there is no promise for a power cut, except right after a flush.
    if (what === 'power' && !world.losesUnflushed && !(await this.#flushAtRest())) return;
    await this.#cut(what);
    const wasKilled = await this.#recover(what === 'kill');
    await checkAfterCut(world, wasKilled);
  }

  /** Loads the store after a cut, again and again if that is cut, too. Returns true if only kills have happened. */
  async #recover(wasKilled: boolean): Promise<boolean> {
    const world = this.#world;
    let onlyKilled = wasKilled;
    while (!(await this.#load('recover', world.oneIn(4)))) {
      const isKill = !world.losesUnflushed || world.oneIn(6);
      await this.#cut(isKill ? 'kill' : 'power');
      onlyKilled &&= isKill;
    }
    return onlyKilled;
  }

  async #cut(what: 'power' | 'kill'): Promise<void> {
    const { device, random } = this.#world;
    await this.#scheduler.calm();
    const state = `${device.inFlightCount} requests in flight, ${device.unflushedCount} changes not flushed`;
    this.#scheduler.log(`${this.#scheduler.completed}: ${what === 'power' ? 'power cut' : 'killed'}, ${state}`);
    if (what === 'power') device.cutPower(random);
    else device.killProcess(random);
    this.#scheduler.forget();
    this.#world.isBusy = false;
  }

  /** Loads the store. Returns false if that was cut. */
  async #load(name: string, mayBeCut: boolean, forceRecover = false): Promise<boolean> {
    const world = this.#world;
    world.device.refresh();
    const cutAfter = mayBeCut && world.oneIn(2) ? world.random.below(40) : NO_CUT;
    const load = async () => {
      const options = { ...this.#loadOptions(), forceRecover };
      world.store = await this.#scheduler.steps(Blobstore.load(world.device, options));
    };
    this.#scheduler.start(name, load);
    const isLoaded = () => this.#scheduler.underWay === 0;
    if (mayBeCut && cutAfter === NO_CUT) {
      // Most requests of a recovery are reads. Cuts are useful only where it writes.
      await this.#scheduler.drive(() => isLoaded() || world.device.unflushedCount > 0, NO_CUT);
      if ((await this.#scheduler.drive(isLoaded, world.random.below(10))) === 'cut') return false;
    } else if ((await this.#scheduler.drive(isLoaded, cutAfter)) === 'cut') return false;
    this.#openChannels();
    return true;
  }

  #loadOptions() {
    const { clusterBytes, durability, onDamage } = this.#configuration;
    const bstype = new Uint8Array(16);
    bstype[0] = this.#made;
    const { external } = this.#world;
    return { clusterBytes, durability, onDamage, bstype, openExternalSnapshot: external && (() => external.open()) };
  }

  #openChannels(): void {
    const world = this.#world;
    world.channels = Array.from({ length: 1 + world.random.below(3) }, () => world.store.openChannel());
  }

  /** Waits until no operation is under way. */
  async #rest(): Promise<void> {
    await this.#scheduler.drive(() => this.#scheduler.underWay === 0, NO_CUT);
    await this.#scheduler.calm();
  }

  async #flushAtRest(): Promise<boolean> {
    await this.#rest();
    let isFlushed = false;
    await this.#scheduler.driveOne(
      'flush',
      async () => {
        isFlushed = await flushStore(this.#world);
      },
      NO_CUT,
    );
    return isFlushed;
  }

  /** Unloads and loads, in one of several ways. */
  async #unloadAndLoad(): Promise<void> {
    const world = this.#world;
    const cutAfter = world.oneIn(2) ? world.random.below(30) : NO_CUT;
    if ((await this.#restAndUnload(cutAfter)) === 'cut') {
      await this.#cut(world.losesUnflushed ? 'power' : 'kill');
      await this.#recover(false);
      return await checkAfterCut(world, false);
    }
    if (world.oneIn(4)) return await this.#growAndCheck();
    await this.#load('load', false, world.oneIn(4));
    this.#forgetHandles();
    await checkAtRest(world);
  }

  async #growAndCheck(): Promise<void> {
    const world = this.#world;
    enlargeDevice(world);
    noteDeviceSize(world); // the device may be larger already, by a growth of the store that a cut has undone
    world.device.refresh();
    const cutAfter = world.oneIn(2) ? world.random.below(12) : NO_CUT;
    const grow = async () => {
      world.store = await this.#scheduler.steps(Blobstore.grow(world.device, this.#loadOptions()));
    };
    this.#forgetHandles();
    if ((await this.#scheduler.driveOne('grow', grow, cutAfter)) === 'done') {
      world.clusterCounts = world.clusterCounts.slice(-1);
      this.#openChannels();
      return await checkAtRest(world);
    }
    await this.#cut(world.losesUnflushed ? 'power' : 'kill');
    await this.#recover(false);
    await checkAfterCut(world, false);
  }

  #forgetHandles(): void {
    for (const blob of this.#world.blobs.values()) blob.handle = undefined;
  }

  /** Ends everything, closes all blobs, and unloads. */
  async #restAndUnload(cutAfter: number): Promise<'done' | 'cut'> {
    const world = this.#world;
    await this.#rest();
    await checkAtRest(world);
    const unload = async () => {
      for (const blob of world.blobs.values()) await closeForCertain(world, blob);
      for (const channel of world.channels) await this.#scheduler.steps(world.store.closeChannel(channel));
      await this.#scheduler.steps(world.store.unload());
      const now = world.tick();
      for (const blob of world.blobs.values()) {
        blob.settled(now);
        blob.flushed(now);
      }
    };
    return await this.#scheduler.driveOne('unload', unload, cutAfter);
  }
}
