/**
 * The world of the calls: stores, blobs and attached threads in every state, and a witness blob that no call may
 * change.
 */

import { inspect } from 'node:util';
import { attach, type Blob, MemoryDevice, type Store } from 'blobyard';
import { bytes, CLUSTER, createStore, expectSame, isPooled, MiB, verify } from '../api/support.js';
import type { Entry } from './calls.js';
import { methodsOf } from './surface.js';

/** The methods that return a value or throw. All others return a promise. */
const AT_ONCE = new Set([
  'share',
  'allocate',
  'blob',
  'release',
  'createReadStream',
  'createWriteStream',
  'eachBlob',
  'nextData',
  'nextHole',
  'toJSON',
  'on',
  'once',
  'off',
  'addListener',
  'removeListener',
  'prependListener',
  'prependOnceListener',
]);
/** Methods that are only for this project's own packages, or for Node. */
const INTERNAL = new Set<string | symbol>(['fail', inspect.custom]);
const WITNESS_BYTES = 3 * CLUSTER;
/** The size of the device in bytes, for the blobs of a few hundred calls. */
const DEVICE_BYTES = 16 * MiB;

/** An object to be called, with a label that says its state. */
type Target = readonly [label: string, object: object, codes?: readonly string[]];

export class World {
  readonly store: Store;
  readonly #witness: Blob;
  readonly #foreign: Store;
  /** The blob that the calls of a run may change. */
  #victim!: Blob;
  #targets: Target[] = [];
  #attached: Store[] = [];

  private constructor(store: Store, foreign: Store, witness: Blob) {
    this.store = store;
    this.#foreign = foreign;
    this.#witness = witness;
  }

  static async make(): Promise<World> {
    const create = () => {
      const device = MemoryDevice.create({ sizeBytes: DEVICE_BYTES, blockLengthBytes: 512, arenaBytes: 256 * 1024 });
      return createStore({ device, clusterSizeBytes: CLUSTER, mdPageCount: 256 });
    };
    const store = await create();
    const witness = await store.create({ sizeBytes: WITNESS_BYTES, thin: true, name: 'witness' });
    await witness.write(bytes(WITNESS_BYTES, 77), 0);
    return new World(store, await create(), witness);
  }

  /** Makes the objects that one run calls. */
  async begin(): Promise<void> {
    const { store } = this;
    this.#victim = await store.create({ sizeBytes: 4 * CLUSTER, thin: true, name: 'victim' });
    await this.#victim.write(bytes(CLUSTER, 3), 100);
    const closed = await store.open(this.#victim.id);
    await closed.close();
    const deleted = await store.create({ sizeBytes: CLUSTER });
    await deleted.close();
    await store.delete(deleted.id);
    this.#targets = [
      ['store', store],
      ['blob', this.#victim],
      ['xattrs', this.#victim.xattrs],
      ['closed blob', closed],
      ['xattrs of a closed blob', closed.xattrs],
      ['deleted blob', deleted],
    ];
    if (isPooled) await this.#beginAttached();
  }

  /** Attaches this thread to the store. Only in pooled mode: in inline mode this thread would have to serve itself. */
  async #beginAttached(): Promise<void> {
    const [here, gone] = [await attach(this.store.share()), await attach(this.store.share())];
    const blob = await here.open(this.#victim.id);
    const closed: Blob = await here.open(this.#victim.id);
    await closed.close();
    const left = await gone.open(this.#victim.id);
    await gone.close();
    this.#attached = [here];
    this.#targets.push(['attached store', here], ['attached blob', blob], ['closed attached blob', closed]);
    this.#targets.push(['detached store', gone], ['blob of a detached store', left]);
  }

  /** All methods that this run may call. */
  entries(): Entry[] {
    return this.#targets.flatMap(([label, object]) => this.#entriesOf(label, object));
  }

  /** Expects that the calls did no harm, and deletes all blobs but the witness. */
  async end(answers: readonly unknown[]): Promise<void> {
    for (const answer of answers) if (isClosable(answer)) await answer.close();
    if (this.store.isClosed) return;
    for (const attached of this.#attached) await attached.close();
    await this.#victim.close();
    await this.#deleteAll();
    expectSame(await this.#witness.read(0, WITNESS_BYTES), bytes(WITNESS_BYTES, 77), 'the witness');
    verify(this.store);
  }

  async close(): Promise<void> {
    await this.#foreign.close();
    await this.store.close();
  }

  #entriesOf(label: string, object: object): Entry[] {
    return methodsOf(object)
      .filter((name) => !INTERNAL.has(name))
      .map((name) => {
        const text = String(name);
        return {
          label: `${label}: ${text}`,
          call: (...args) => (object as Record<string | symbol, (...args: unknown[]) => unknown>)[name](...args),
          right: this.#right(label, text),
          isPromise: !AT_ONCE.has(text) && !text.endsWith('Sync'),
          notCodes: ['EIO'],
        };
      });
  }

  #right(label: string, method: string): unknown[] {
    const memory = new Uint8Array(700).fill(9);
    const derived = { name: `derived ${method}`, xattrs: { a: 'b' } };
    const long = { onProgress: () => undefined };
    if (label.startsWith('xattrs')) {
      return { setAll: [{ a: 'one', b: memory }] }[method] ?? ['a', 'value'];
    }
    const table: Record<string, unknown[]> = {
      read: [100, memory],
      readSync: [100, memory],
      readv: [512, [memory, memory], {}],
      readvSync: [512, [memory, memory]],
      write: [memory, 1000],
      writeSync: [memory, 1000, {}],
      writev: [[memory, memory], 0, {}],
      writevSync: [[memory, memory], 0],
      writeZeroes: [100, 700, {}],
      writeZeroesSync: [100, 700],
      trim: [0, CLUSTER + 5, {}],
      trimSync: [0, CLUSTER + 5],
      createReadStream: [{ start: 5, end: 900 }],
      createWriteStream: [{ start: 5, flush: true }],
      nextData: [0],
      nextHole: [0],
      snapshot: [derived],
      clone: [derived],
      inflate: [long],
      decouple: [long],
      copyTo: [{ kind: 'memory', sizeBytes: MiB, blockLengthBytes: 512, arenaBytes: 0 }, long],
      resize: [2 * CLUSTER],
      create: [{ sizeBytes: CLUSTER, name: 'created', xattrs: { a: 'b' } }],
      open: label === 'store' ? [{ name: 'victim' }, { clearMethod: 'none' }] : [this.#victim.id],
      openSync: [{ name: 'victim' }],
      blob: [this.#victim.id],
      delete: [{ name: 'created' }, {}],
      info: [{}],
      stats: [{}],
      setSuperBlob: [this.#victim.id],
      allocate: [4096],
      release: [memory],
      on: ['low-space', () => undefined],
      once: ['low-space', () => undefined],
      off: ['low-space', () => undefined],
      prependOnceListener: ['low-space', () => undefined],
      prependListener: ['low-space', () => undefined],
      removeListener: ['low-space', () => undefined],
      addListener: ['low-space', () => undefined],
    };
    return table[method] ?? [];
  }

  /** Deletes all blobs but the witness, in rounds, because a snapshot can be deleted only after its clones. */
  async #deleteAll(): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      const others = (await this.store.blobs()).filter(({ name }) => name !== 'witness');
      if (others.length === 0) return;
      if (others.length >= before) throw new Error(`blobs cannot be deleted: ${others.map(({ id }) => id)}`);
      before = others.length;
      for (const { id } of others) await this.store.delete(id).catch(() => undefined);
    }
  }
}

/** True for a handle or any other object with a method `close`. */
function isClosable(answer: unknown): answer is { close(): Promise<void> } {
  return typeof (answer as { close?: unknown } | null | undefined)?.close === 'function';
}
