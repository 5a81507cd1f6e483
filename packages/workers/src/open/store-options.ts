/** Checks the options to create and to open a store, and converts them to those of the engine. */

import { bstypeFromText, type InitOptions, type LoadOptions, PAGE_BYTES } from '@blobyard/core';
import type { CreateStoreOptions, OpenStoreOptions, StoreLocking } from '../api/store.js';
import {
  checkBooleanOr,
  checkBytes,
  checkChoiceOr,
  checkFunctionOr,
  checkInteger,
  checkIntegerOr,
  checkOptions,
  checkSignalOr,
  invalid,
} from '../checks/checks.js';
import { checkWorkerFiles } from '../checks/worker-files.js';
import { checkDevice, forReading, isReadOnlyFile, openIfSpec } from '../devices/open-device.js';

const BSTYPE_BYTES = 16;
const REQUESTS_DEFAULT = 512;
const REQUESTS_MAX = 65536;
const THREADS_MAX = 64;
/** The longest interval of a timer. */
const SYNC_INTERVAL_MS_MAX = 2 ** 31 - 1;
const COMMON = [
  'device',
  'threads',
  'workers',
  'bstype',
  'durability',
  'openExternalSnapshot',
  'lock',
  'keepAlive',
  'requestsMax',
  'lowSpaceBytes',
  'syncIntervalMs',
  'signal',
] as const;
const NEW = ['clusterSizeBytes', 'mdPageCount', 'growTo', 'clearMethod'] as const;
const CREATE = [...COMMON, ...NEW, 'overwrite'] as const;
const OPEN = [...COMMON, ...NEW, 'create', 'readOnly', 'grow', 'recover', 'onDamage', 'onBlob'] as const;

/** Returns a copy of the options to create a store, each read once. Throws EINVAL if they are invalid. */
export function readCreateStore(options: CreateStoreOptions): CreateStoreOptions {
  requireGiven(options);
  const read = withDevice(checkOptions('options of createStore', options, CREATE));
  return { ...read, lock: checkLock(read.lock, false) };
}

/** Returns a copy of the options to open a store, each read once. Throws EINVAL if they are invalid. */
export function readOpenStore(options: OpenStoreOptions): OpenStoreOptions {
  requireGiven(options);
  const read = withDevice(checkOptions('options of openStore', options, OPEN));
  const readOnly = checkReadOnly(read);
  requireNoNew(read, checkBooleanOr('create', read.create, false), readOnly);
  const device = readOnly ? forReading(read.device) : read.device;
  return { ...read, device, readOnly, lock: checkLock(read.lock, readOnly) };
}

/** Options and devices for a new store have no place where only an existing store is opened. */
function requireNoNew(options: OpenStoreOptions, create: boolean, readOnly: boolean): void {
  if (create && readOnly) throw invalid('create', create, 'false in a store that is opened for reading only');
  const { device } = options;
  if ('kind' in device && device.kind === 'file' && device.create) {
    throw invalid(
      'create of the device',
      true,
      'false: with `create: true`, openStore creates a file that is not there',
    );
  }
  const given = NEW.find((name) => options[name] !== undefined);
  if (!create && given !== undefined) throw invalid(given, options[given], 'left out, or given with create: true');
}

/** Returns the engine's options to create a store. Throws EINVAL if they are invalid. */
export function checkCreateStore(options: CreateStoreOptions | OpenStoreOptions): InitOptions {
  const { clusterSizeBytes, mdPageCount, growTo, clearMethod } = options;
  if ('overwrite' in options) checkBooleanOr('overwrite', options.overwrite, false);
  const clusterBytes = checkIntegerOr('clusterSizeBytes', clusterSizeBytes, 1 << 20, PAGE_BYTES, 0xffff_ffff);
  if (clusterBytes % PAGE_BYTES !== 0) throw invalid('clusterSizeBytes', clusterBytes, `a multiple of ${PAGE_BYTES}`);
  if (growTo !== undefined) checkInteger('growTo', growTo, 1, clusterBytes * 0xffff_fffe);
  if (mdPageCount !== undefined) checkInteger('mdPageCount', mdPageCount, 1, 0xffff_fffe);
  return {
    ...checkCommon(options),
    clusterBytes,
    mdPageCount,
    growToBytes: growTo,
    clearMethod: checkChoiceOr('clearMethod', clearMethod, ['unmap', 'write_zeroes', 'none']),
  };
}

/** Returns the engine's options to open a store. Throws EINVAL if they are invalid. */
export function checkOpenStore(options: OpenStoreOptions): LoadOptions {
  if (options.recover !== undefined && options.recover !== 'force')
    throw invalid('recover', options.recover, "'force'");
  checkBooleanOr('grow', options.grow, false);
  checkFunctionOr('onBlob', options.onBlob);
  return {
    ...checkCommon(options),
    clusterBytes: PAGE_BYTES, // the least size of a device: a store with small clusters may have less than 1 MiB
    forceRecover: options.recover === 'force',
    // In a store that is only read, recovery writes to memory: barriers have no effect.
    ...(options.readOnly ? { durability: 'process-crash' } : {}),
    onDamage: checkChoiceOr('onDamage', options.onDamage, ['refuse', 'set-aside']) ?? 'refuse',
  };
}

/** Returns how a file is locked. Throws EINVAL for an invalid choice, or if a writer would share the file. */
export function checkLock(lock: StoreLocking | false | undefined, readOnly: boolean): StoreLocking {
  if (lock === false) return 'none';
  return checkChoiceOr('lock', lock, readOnly ? ['shared', 'exclusive', 'none'] : ['exclusive', 'none']);
}

function checkReadOnly({ readOnly, device, grow }: OpenStoreOptions): boolean {
  const isFileReadOnly = isReadOnlyFile(device);
  const isReadOnly = checkBooleanOr('readOnly', readOnly, isFileReadOnly);
  if (isFileReadOnly && !isReadOnly) throw invalid('readOnly', readOnly, 'true: the device can only be read');
  if (isReadOnly && grow) throw invalid('grow', grow, 'false in a store that is opened for reading only');
  return isReadOnly;
}

/** Returns the most requests that the channel takes at once. Throws EINVAL if it is invalid, as those below do. */
export function requestsMaxOf(options: CreateStoreOptions | OpenStoreOptions): number {
  return checkIntegerOr('requestsMax', options.requestsMax, REQUESTS_DEFAULT, 1, REQUESTS_MAX);
}

/** Returns the threshold of the event `low-space`, in bytes. Undefined: the default. */
export function lowSpaceBytesOf(options: CreateStoreOptions | OpenStoreOptions): number | undefined {
  const { lowSpaceBytes } = options;
  return lowSpaceBytes === undefined
    ? undefined
    : checkInteger('lowSpaceBytes', lowSpaceBytes, 0, Number.MAX_SAFE_INTEGER);
}

/** Returns the interval of automatic syncs, in milliseconds. Undefined: the default, which depends on the device. */
export function syncIntervalMsOf(options: CreateStoreOptions | OpenStoreOptions): number | undefined {
  const { syncIntervalMs } = options;
  return syncIntervalMs === undefined
    ? undefined
    : checkInteger('syncIntervalMs', syncIntervalMs, 0, SYNC_INTERVAL_MS_MAX);
}

/** Returns the number of I/O threads. 0: all work is done on the calling thread. */
export function threadsOf(options: CreateStoreOptions | OpenStoreOptions): number {
  return checkIntegerOr('threads', options.threads, 0, 0, THREADS_MAX);
}

function requireGiven(options: unknown): void {
  if (options === undefined) throw invalid('the argument', options, 'an object with options, which include a device');
}

function withDevice<T extends CreateStoreOptions | OpenStoreOptions>(options: T): T {
  return { ...options, device: checkDevice('device', options.device) };
}

function checkCommon(options: CreateStoreOptions | OpenStoreOptions) {
  threadsOf(options);
  checkWorkerFiles(options.workers);
  lowSpaceBytesOf(options);
  syncIntervalMsOf(options);
  checkBooleanOr('keepAlive', options.keepAlive, false);
  checkSignalOr(options.signal);
  const find = checkFunctionOr('openExternalSnapshot', options.openExternalSnapshot);
  return {
    bstype: checkBstype(options.bstype),
    durability: checkChoiceOr('durability', options.durability, ['power-loss', 'process-crash']),
    channelOpsMax: requestsMaxOf(options),
    openExternalSnapshot:
      find &&
      (async (request: { blobId: bigint; snapshotId: Uint8Array }) => {
        const found = await find({ blobId: request.blobId, snapshotId: request.snapshotId });
        return found === null ? null : openIfSpec(checkDevice('what openExternalSnapshot found', found));
      }),
  };
}

function checkBstype(bstype: unknown): Uint8Array | undefined {
  if (bstype === undefined) return undefined;
  const bytes = typeof bstype === 'string' ? bstypeFromText(bstype) : checkBytes('bstype', bstype);
  if (bytes.length > BSTYPE_BYTES) throw invalid('bstype', bstype, `${BSTYPE_BYTES} bytes or fewer`);
  const whole = new Uint8Array(BSTYPE_BYTES);
  whole.set(bytes);
  return whole;
}
