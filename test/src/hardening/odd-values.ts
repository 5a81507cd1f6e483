/**
 * Arguments of every wrong kind, by name. fast-check prints the names. The values are made for each call, since some
 * can be used only once.
 */

import fc from 'fast-check';

/** The error that the traps and getters of odd values throw. */
export class Trapped extends Error {
  constructor() {
    super('a trap of the test');
  }
}

/** Registers a task that is executed right after the value was passed to the call. */
export type Afterwards = (task: () => void) => void;

type Make = (afterwards: Afterwards) => unknown;

const trap = () => {
  throw new Trapped();
};
const throwingProxy = () =>
  new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap });
/** The properties of options and objects that the API reads. On an odd value, reading one of them throws. */
const READ_NAMES = ['name', 'thin', 'slot', 'device', 'kind', 'signal', 'start', 'onProgress', 'sizeBytes', 'blobyard'];

function throwingGetters(): object {
  const descriptors = READ_NAMES.map((name) => [name, { get: trap, enumerable: true, configurable: true }]);
  return Object.defineProperties({}, Object.fromEntries(descriptors) as PropertyDescriptorMap);
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Transfers the memory of an array, so that the array has no bytes any more. */
export function detach(array: Uint8Array): void {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
}

/** An array over the whole of a resizable memory, and the function that makes the memory shorter. */
export function resizable(bytes: number): { array: Uint8Array; shrink: (to: number) => void } {
  const memory = new ArrayBuffer(bytes, { maxByteLength: bytes });
  return { array: new Uint8Array(memory, 0, bytes).fill(0xee), shrink: (to) => memory.resize(to) };
}

function detached(): Uint8Array {
  const array = new Uint8Array(4096);
  detach(array);
  return array;
}

function shrunk(to: number): Uint8Array {
  const { array, shrink } = resizable(4096);
  shrink(to);
  return array;
}

function detachedLater(afterwards: Afterwards): Uint8Array {
  const array = new Uint8Array(4096).fill(0xee);
  afterwards(() => detach(array));
  return array;
}

function shrunkLater(afterwards: Afterwards): Uint8Array {
  const { array, shrink } = resizable(8192);
  afterwards(() => shrink(100));
  return array;
}

function abortedLater(afterwards: Afterwards): { signal: AbortSignal } {
  const controller = new AbortController();
  afterwards(() => controller.abort());
  return { signal: controller.signal };
}

export const ODD: Readonly<Record<string, Make>> = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  false: () => false,
  NaN: () => Number.NaN,
  '-1': () => -1,
  '-0': () => -0,
  '1': () => 1,
  '512': () => 512,
  '0.5': () => 0.5,
  '512.5': () => 512.5,
  '2 ** 31': () => 2 ** 31,
  '2 ** 32': () => 2 ** 32,
  '2 ** 53': () => 2 ** 53,
  '2 ** 53 - 1': () => 2 ** 53 - 1,
  '1e300': () => 1e300,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-Infinity': () => Number.NEGATIVE_INFINITY,
  '0n': () => 0n,
  '-1n': () => -1n,
  '512n': () => 512n,
  '2n ** 32n + 77n': () => (1n << 32n) + 77n,
  '2n ** 64n': () => 1n << 64n,
  'empty text': () => '',
  text: () => 'text',
  "'0'": () => '0',
  "'512'": () => '512',
  'a zero character': () => '\0',
  'half a surrogate': () => '\ud800',
  'long text': () => 'x'.repeat(10_000),
  symbol: () => Symbol('odd'),
  function: () => () => undefined,
  'throwing function': () => trap,
  class: () => Uint8Array,
  'empty array': () => [],
  'array of a number': () => [512],
  'array of nothing': () => [undefined],
  'sparse array': () => new Array(3),
  'array of bytes': () => [new Uint8Array(512)],
  'array of detached bytes': () => [new Uint8Array(512), detached()],
  'array of bytes detached later': (afterwards) => [detachedLater(afterwards), new Uint8Array(512)],
  'throwing array': () => new Proxy([new Uint8Array(8)], { get: trap }),
  'empty object': () => ({}),
  'object without prototype': () => Object.create(null) as unknown,
  'object of an unknown name': () => ({ surely_unknown: 1 }),
  'object of a number as name': () => ({ name: 512 }),
  'object of nobody': () => ({ name: 'nobody' }),
  'object of a length': () => ({ length: 512 }),
  'object that is no text': () => ({ toString: trap, valueOf: trap, [Symbol.toPrimitive]: trap }),
  'throwing proxy': throwingProxy,
  'throwing getters': throwingGetters,
  'revoked proxy': revoked,
  'throwing thenable': () => ({
    // biome-ignore lint/suspicious/noThenProperty: this is what it is for
    get then() {
      return trap();
    },
  }),
  date: () => new Date(Number.NaN),
  error: () => new Error('odd'),
  map: () => new Map([['name', 'x']]),
  promise: () => Promise.resolve(512),
  'aborted signal': () => ({ signal: AbortSignal.abort() }),
  'signal aborted later': abortedLater,
  'false signal': () => ({ signal: { aborted: false } }),
  'signal without an inside': () => ({ signal: Object.create(AbortSignal.prototype) as unknown }),
  'throwing onProgress': () => ({ onProgress: trap }),
  'no bytes': () => new Uint8Array(0),
  bytes: () => new Uint8Array(512).fill(0xee),
  'bytes of a cluster and some': () => new Uint8Array(16384 + 100).fill(0xee),
  'shared bytes': () => new Uint8Array(new SharedArrayBuffer(512)),
  'growable shared bytes': () => new Uint8Array(new SharedArrayBuffer(512, { maxByteLength: 1024 })),
  'detached bytes': detached,
  'bytes out of bounds': () => shrunk(0),
  'bytes with a shorter memory': () => shrunk(1000),
  'bytes detached later': detachedLater,
  'bytes shrunk later': shrunkLater,
  'proxy of bytes': () => new Proxy(new Uint8Array(512), {}),
  'bytes without an inside': () => Object.create(Uint8Array.prototype) as unknown,
  'data view': () => new DataView(new ArrayBuffer(512)),
  'other numbers': () => new Uint16Array(256),
  floats: () => new Float64Array(64),
  bigints: () => new BigInt64Array(64),
  memory: () => new ArrayBuffer(512),
  'shared memory': () => new SharedArrayBuffer(512),
  'ref of no slot': () => ({ slot: -1, generation: 1 }),
  'ref of a slot far away': () => ({ slot: 2 ** 31, generation: 0 }),
  'ref past the slots': () => ({ slot: 5000, generation: 1 }),
  'ref of half a slot': () => ({ slot: 0.5, generation: 1 }),
  'ref of text': () => ({ slot: 'a', generation: 'b' }),
  'ref of NaN': () => ({ slot: Number.NaN, generation: 0 }),
  'stale ref': () => ({ slot: 0, generation: -12_345 }),
  'spec of no kind': () => ({ kind: 'no such kind' }),
  'spec of no size': () => ({ kind: 'memory' }),
  'spec of a missing module': () => ({ kind: 'custom', module: 'file:///no/such/module.js' }),
  'half a device': () => ({ openChannel: () => ({}) }),
  'half a handle': () => ({ blobyard: 1, mailboxes: new SharedArrayBuffer(64) }),
};

export const ODD_NAMES: readonly string[] = Object.keys(ODD);

/** The name that stands for the valid argument. In `anyArgument` it is as frequent as all odd values together. */
export const RIGHT = 'right';

export const anyArgument: fc.Arbitrary<string> = fc.oneof(fc.constant(RIGHT), fc.constantFrom(...ODD_NAMES));
