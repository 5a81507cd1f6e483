/**
 * Device specs: plain objects that describe a device, and can be posted to any thread, which opens the device there.
 * They come from users, so every property is checked.
 */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { BlobstoreError, type BlockDevice, type MaybePromise, toBlobstoreError } from '@blobyard/core';
import { checkAnyObject, checkObject, invalid } from '@blobyard/core/internal/argument-checks';
import { describeValue } from '@blobyard/core/internal/describe-value';
import { checkBlockDevice, isBlockDevice } from './block-device-check.js';
import { FileDevice, type FileDeviceOptions } from './file-device.js';
import { checkPath, type FilePath } from './file-path.js';
import { MemoryDevice, type MemoryDeviceOptions, type SharedMemoryDeviceOptions } from './memory-device.js';
import { SparseMemoryDevice, type SparseMemoryDeviceOptions } from './sparse-memory-device.js';

/** A device in shared memory: a new one, or with `memory` an existing one. */
export type MemoryDeviceSpec = { readonly kind: 'memory' } & (MemoryDeviceOptions | SharedMemoryDeviceOptions);

/** A new device of any size, in the memory of one thread; other threads cannot open it. */
export type SparseMemoryDeviceSpec = { readonly kind: 'sparse-memory' } & SparseMemoryDeviceOptions;

/** A file or block device node. */
export type FileDeviceSpec = { readonly kind: 'file' } & FileDeviceOptions;

/** A device that the user's own module implements. */
export interface CustomDeviceSpec {
  readonly kind: 'custom';
  /**
   * The ES module that exports `openDevice`: an absolute path, a URL, or the text of a URL, as from
   * `import.meta.resolve('a-package')`.
   */
  readonly module: FilePath;
  /** The argument for the module's `openDevice`: any value that can be posted to a thread. */
  readonly options?: unknown;
}

/** Describes a device, which `openDevice` opens. It can be posted to other threads. */
export type DeviceSpec = MemoryDeviceSpec | SparseMemoryDeviceSpec | FileDeviceSpec | CustomDeviceSpec;

/** The exports of a custom device's module. Each thread that uses the device calls `openDevice` once. */
export interface CustomDeviceModule {
  openDevice(options: unknown): BlockDevice | Promise<BlockDevice>;
}

const NEW_MEMORY_OPTIONS = ['kind', 'sizeBytes', 'blockLengthBytes', 'maxSizeBytes', 'arenaBytes', 'canCopy'];
const SPARSE_OPTIONS = ['kind', 'sizeBytes', 'blockLengthBytes', 'canCopy'];
const FILE_OPTIONS = [
  'kind',
  'path',
  'create',
  'sizeBytes',
  'blockLengthBytes',
  'direct',
  'mode',
  'mmap',
  'readOnly',
  'label',
  'sameAs',
];

/**
 * Opens the device that a spec describes, for the calling thread. Throws EINVAL for an invalid spec; ENOENT when the
 * module of a custom device cannot be loaded; and what opening that kind of device throws.
 */
export async function openDevice(spec: DeviceSpec): Promise<BlockDevice> {
  return openDeviceNowOrLater(spec);
}

/** As `openDevice`, but without a promise, except for custom devices, whose module must be loaded. */
export function openDeviceNowOrLater(given: DeviceSpec): MaybePromise<BlockDevice> {
  const spec = checkAnyObject('a device spec', given, 'an object with a kind') as unknown as DeviceSpec;
  switch (spec.kind) {
    case 'memory':
      return openMemory(spec);
    case 'sparse-memory':
      checkObject('a device of kind sparse-memory', spec, SPARSE_OPTIONS);
      return new SparseMemoryDevice(spec);
    case 'file':
      checkObject('a device of kind file', spec, FILE_OPTIONS);
      return FileDevice.open(spec);
    case 'custom':
      return openCustom(spec);
    default: {
      const { kind } = spec as { kind: unknown };
      throw invalid('the kind of a device', kind, "'memory', 'sparse-memory', 'file' or 'custom'");
    }
  }
}

/**
 * The spec by which other threads open a device that this thread has opened. It does not create the device again, and
 * it contains the memory of a memory device. Throws EINVAL for arguments that are no spec or no device, ENOTSUP for a
 * device that other threads cannot reach.
 */
export function sharedSpec(spec: DeviceSpec, device: BlockDevice): DeviceSpec {
  const { kind } = checkAnyObject('a device spec', spec);
  checkBlockDevice(device);
  if (kind === 'custom') return spec; // its module decides what other threads open
  if (device instanceof MemoryDevice || device instanceof FileDevice) return device.spec;
  throw new BlobstoreError(
    'ENOTSUP',
    `a device of kind ${describeValue(kind)} is in the memory of one thread: for several threads use kind 'memory' or 'file'`,
  );
}

function openMemory(spec: MemoryDeviceSpec): MemoryDevice {
  if ('memory' in spec) {
    checkObject('a device of kind memory that exists', spec, ['kind', 'memory']);
    return new MemoryDevice(spec);
  }
  checkObject('a device of kind memory', spec, NEW_MEMORY_OPTIONS);
  return MemoryDevice.create(spec);
}

async function openCustom(spec: CustomDeviceSpec): Promise<BlockDevice> {
  checkObject('a device of kind custom', spec, ['kind', 'module', 'options']);
  const name = moduleName(spec.module);
  const address = moduleUrl(name);
  let device: unknown;
  try {
    const module = await importModule(name, address);
    if (typeof module.openDevice !== 'function') {
      throw new BlobstoreError(
        'EINVAL',
        `${name} exports no function openDevice: export one that returns a BlockDevice`,
      );
    }
    device = await module.openDevice(spec.options);
  } catch (cause) {
    throw toBlobstoreError(cause, `open the custom device of ${name}`);
  }
  if (isBlockDevice(device)) return device;
  throw invalid(`the result of openDevice of ${name}`, device, 'a BlockDevice');
}

/** Replaces Node's error for a module that cannot be loaded: it names this package's own files, which does not help. */
async function importModule(given: string, address: string): Promise<Partial<CustomDeviceModule>> {
  try {
    return (await import(address)) as Partial<CustomDeviceModule>;
  } catch (cause) {
    const code = (cause as { code?: unknown } | null | undefined)?.code;
    if (typeof code !== 'string' || !code.startsWith('ERR_')) throw cause; // thrown by the module itself
    const advice = 'give the absolute path or the URL of an ES module that Node.js can load';
    throw new BlobstoreError(
      'ENOENT',
      `the module ${given}, or one that it imports, cannot be loaded (${code}): ${advice}`,
    );
  }
}

/** Returns the path of a module, or the text of its URL. Throws EINVAL if it is neither. */
function moduleName(module: unknown): string {
  return module instanceof URL ? module.href : checkPath('module', module);
}

/**
 * Returns a copy of a spec that can be posted to other threads: paths are text. Throws EINVAL for an invalid path;
 * anything else is checked when the device is opened.
 */
export function postableSpec<T extends DeviceSpec>(spec: T): T {
  if (spec.kind === 'file') return { ...spec, path: checkPath('path', spec.path) };
  if (spec.kind === 'custom') return { ...spec, module: moduleName(spec.module) };
  return { ...spec };
}

function moduleUrl(module: string): string {
  if (path.isAbsolute(module)) return pathToFileURL(module).href;
  if (URL.canParse(module)) return module;
  throw invalid('module', module, "an absolute path or a URL, such as new URL('./my-device.js', import.meta.url).href");
}
