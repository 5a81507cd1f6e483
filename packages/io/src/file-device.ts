/**
 * A device on a file or on a block device node.
 *
 * Synchronous unless asked otherwise: the calling thread makes the system call, which for data in the page cache costs
 * less than a promise, and threads are how this project does many things at once. With `mode: 'async'` Node's threads
 * make the calls.
 *
 * `unmap` and `writeZeroes` punch holes in the file. A range that was punched has to be allocated again when it is
 * next written, and may then meet ENOSPC. Where there is no hole punching, which the file tells at the first try,
 * zeroes are written.
 */

import { constants } from 'node:fs';
import path from 'node:path';
import { BlobstoreError, type DeviceChannel } from '@blobyard/core';
import { checkOpen } from './bounds.js';
import { bootId } from './cache-owner.js';
import { AsyncFileChannel, SyncFileChannel } from './file-channel.js';
import { codeOf, openError, withoutPath } from './file-errors.js';
import { identityOf, openSameFile, type SameFile } from './file-identity.js';
import { type FileSystem, nodeFileSystem } from './file-system.js';
import { hasBlock } from './medium-size.js';
import { OpenFile } from './open-file.js';
import {
  checkAnyObject,
  checkBoolean,
  checkChoice,
  checkInteger,
  checkMultiple,
  checkObject,
  checkText,
  invalid,
} from './option-checks.js';
import type { ResizableDevice } from './resizable-device.js';

/** How a file is opened as a device. */
export interface FileDeviceOptions {
  /** A regular file or a block device. Relative paths begin at the working directory of the process. */
  readonly path: string;
  /** Makes the file, which must not exist: sparse, all zeroes, `sizeBytes` long. False unless given. */
  readonly create?: boolean;
  /** The size of the file that is made, a multiple of the block length. Only with `create`. */
  readonly sizeBytes?: number;
  /**
   * Bytes in a block: a power of two from 512 to 65536, of which a store takes those up to 4096. Unless given: 4096, or what the
   * store in the file says, where one is opened or checked.
   */
  readonly blockLengthBytes?: number;
  /**
   * Goes past the page cache (O_DIRECT). Buffers from `allocateAligned` are read and written in place, others are
   * copied on the way. False unless given.
   */
  readonly direct?: boolean;
  /** Whether the calling thread waits for each operation ('sync', unless given) or gets a promise ('async'). */
  readonly mode?: 'sync' | 'async';
  /** How messages name the file; by `path` as it was given, unless given. */
  readonly label?: string;
  /** Refuses all writes with EPERM. False unless given. */
  readonly readOnly?: boolean;
  /**
   * The file that this process has open already, as `spec` of a device names it: it is opened also when its path leads to
   * another one by now, and no other is (ENOENT). Not with `create`. Any file, unless given.
   */
  readonly sameAs?: SameFile;
}

const DEFAULT_BLOCK_LENGTH_BYTES = 4096;
const BLOCK_LENGTH_BYTES_MIN = 512;
const BLOCK_LENGTH_BYTES_MAX = 65536;
const DESCRIPTOR_MAX = 2 ** 31 - 1;
/** For a file that is made: its owner and its group may read it, its owner may write it. */
const FILE_MODE = 0o640;

export class FileDevice implements ResizableDevice {
  readonly blockLengthBytes: number;
  readonly synchronous: boolean;
  readonly canCopy = false;
  /** The options that open this same file again, and no other, in this thread or another of the process; they do not make it. */
  readonly spec: { readonly kind: 'file' } & FileDeviceOptions;
  readonly #file: OpenFile;
  readonly #identity: string;
  readonly #channels = new Set<DeviceChannel>();
  #closing: void | Promise<void> | undefined;

  private constructor(file: OpenFile, identity: string, options: Omit<FileDevice['spec'], 'sameAs'>) {
    this.#file = file;
    this.#identity = identity;
    this.spec = { ...options, sameAs: { identity, descriptor: file.fd } };
    this.blockLengthBytes = file.blockLengthBytes;
    this.synchronous = options.mode !== 'async';
  }

  /**
   * Opens, or makes, a file. Throws EINVAL for options that cannot be, ENOENT and EEXIST as the file system does, EPERM
   * without the rights, ENOSPC when a new file does not fit, ENOTSUP where direct I/O is not to be had.
   *
   * @param fs - the system's calls, for tests.
   */
  static open(options: FileDeviceOptions, fs: FileSystem = nodeFileSystem): FileDevice {
    const checked = checkOptions(checkAnyObject('a file device', options) as unknown as FileDeviceOptions);
    const fd = openOrCreate(checked, fs);
    try {
      const { blockLengthBytes, direct, readOnly, mode } = checked;
      const file = new OpenFile({ fs, fd, path: checked.label, blockLengthBytes, direct, readOnly });
      const device = new FileDevice(file, identityOf(fs, fd), {
        kind: 'file',
        path: checked.path,
        blockLengthBytes,
        direct,
        mode,
        readOnly,
        ...(checked.label === checked.path ? {} : { label: checked.label }),
      });
      file.lookUpSize();
      if (direct) device.#tryDirect();
      return device;
    } catch (cause) {
      fs.closeSync(fd);
      if (checked.create) fs.unlinkSync(checked.path);
      throw openError(cause, `open ${checked.label}`);
    }
  }

  /** Which file is open: two devices with one identity are on the same, by whichever names. */
  get identity(): string {
    return this.#identity;
  }

  /** The number under which the file is open in this process, until `close`. */
  get descriptor(): number {
    return this.#file.fd;
  }

  /**
   * Whole blocks of the file when its size was last looked up: when it was opened, by `refresh`, and before an operation past
   * the end that was known fails, since another thread may have made the file longer.
   */
  get blockCount(): number {
    return this.#file.blockCount;
  }

  /** The running system keeps what was written, whatever becomes of the process. */
  get cacheOwner(): Uint8Array | undefined {
    return bootId();
  }

  openChannel(): DeviceChannel {
    checkOpen('openChannel', this.#file.isOpen);
    const Channel = this.synchronous ? SyncFileChannel : AsyncFileChannel;
    const channel: DeviceChannel = new Channel(this.#file, () => this.#channels.delete(channel));
    this.#channels.add(channel);
    return channel;
  }

  /** Looks the size of the file up again. */
  refresh(): void {
    checkOpen('refresh', this.#file.isOpen);
    this.#file.lookUpSize();
  }

  /** Truncates or extends the file; a block device has the size it has (ENOTSUP). */
  resize(blockCount: number): void {
    this.#file.checkWritable('resize');
    const blocksMax = Math.floor(Number.MAX_SAFE_INTEGER / this.blockLengthBytes);
    checkInteger('the new block count', blockCount, 0, blocksMax);
    const { fs, fd } = this.#file;
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) {
      throw new BlobstoreError('ENOTSUP', `${this.#file.path} is a block device, and cannot be resized from here`);
    }
    try {
      // Bytes after the last whole block were never part of the device, and must not come to be in it.
      fs.ftruncateSync(fd, stats.size - (stats.size % this.blockLengthBytes));
      fs.ftruncateSync(fd, blockCount * this.blockLengthBytes);
    } catch (cause) {
      throw openError(cause, `resize ${this.#file.path} to ${blockCount} blocks`);
    }
    this.#file.lookUpSize();
  }

  /** Closes the file, once the operations that are under way have ended. Does not flush. */
  close(): void | Promise<void> {
    if (this.#file.isOpen) {
      for (const channel of this.#channels) channel.close();
      this.#closing = this.#file.close();
    }
    return this.#closing;
  }

  /** Blocks shorter than the medium's cannot be read directly; better to say so now than at the first read. */
  #tryDirect(): void {
    const { fs, fd, blockLengthBytes, blockCount, path } = this.#file;
    if (blockCount === 0 || hasBlock(fs, fd, 0, blockLengthBytes)) return;
    const found = `${path} has no direct I/O in blocks of ${blockLengthBytes} bytes`;
    throw new BlobstoreError('EINVAL', `${found}; use a larger blockLengthBytes, or direct: false`);
  }
}

type CheckedOptions = Required<Omit<FileDeviceOptions, 'sameAs'>> & Pick<FileDeviceOptions, 'sameAs'>;

function checkOptions(options: FileDeviceOptions): CheckedOptions {
  const { blockLengthBytes = DEFAULT_BLOCK_LENGTH_BYTES } = options;
  checkInteger('blockLengthBytes', blockLengthBytes, BLOCK_LENGTH_BYTES_MIN, BLOCK_LENGTH_BYTES_MAX);
  const isPowerOfTwo = Number.isInteger(Math.log2(blockLengthBytes));
  if (!isPowerOfTwo) throw invalid('blockLengthBytes', blockLengthBytes, 'a power of two');
  const create = checkBoolean('create', options.create, false);
  const readOnly = checkBoolean('readOnly', options.readOnly, false);
  const sameAs = checkSameFile(options.sameAs);
  if (create && sameAs !== undefined) throw invalid('sameAs', sameAs, 'left out for a file that is made (create)');
  if (create && readOnly) throw invalid('readOnly', readOnly, 'false for a file that is made (create)');
  if (!create && options.sizeBytes !== undefined) {
    throw invalid('sizeBytes', options.sizeBytes, 'left out for a file that exists, or come with create: true');
  }
  const given = checkText('path', options.path);
  return {
    path: path.resolve(given),
    label: options.label === undefined ? given : checkText('label', options.label),
    create,
    sizeBytes: create ? checkMultiple('sizeBytes', options.sizeBytes, blockLengthBytes, Number.MAX_SAFE_INTEGER) : 0,
    blockLengthBytes,
    direct: checkBoolean('direct', options.direct, false),
    mode: checkChoice('mode', options.mode, ['sync', 'async']),
    readOnly,
    sameAs,
  };
}

function checkSameFile(given: SameFile | undefined): SameFile | undefined {
  if (given === undefined) return undefined;
  const { identity, descriptor } = checkObject('sameAs', given, ['identity', 'descriptor']);
  return {
    identity: checkText('the identity in sameAs', identity),
    descriptor: checkInteger('the descriptor in sameAs', descriptor, 0, DESCRIPTOR_MAX),
  };
}

/** The flags for opening a file. Throws ENOTSUP where the system has no O_DIRECT. */
function openFlags(options: CheckedOptions): number {
  const access = options.readOnly ? constants.O_RDONLY : constants.O_RDWR;
  if (!options.direct) return access;
  if (constants.O_DIRECT === undefined) {
    throw new BlobstoreError('ENOTSUP', `${process.platform} has no O_DIRECT; open the device with direct: false`);
  }
  return access | constants.O_DIRECT;
}

function openOrCreate(options: CheckedOptions, fs: FileSystem): number {
  if (options.create) return createFile(options, fs);
  return options.sameAs ? openSame(options, options.sameAs, fs) : openFile(options, options.path, fs);
}

function openSame(options: CheckedOptions, same: SameFile, fs: FileSystem): number {
  try {
    return openSameFile(fs, same, options.path, options.label, (path) => openFile(options, path, fs));
  } catch (cause) {
    throw openError(cause, `open ${options.label}`);
  }
}

function openFile(options: CheckedOptions, path: string, fs: FileSystem): number {
  try {
    return fs.openSync(path, openFlags(options));
  } catch (cause) {
    if (!options.direct || codeOf(cause) !== 'EINVAL') throw openError(cause, `open ${options.label}`);
    const message = `the file system of ${options.label} has no O_DIRECT; open the device with direct: false`;
    throw new BlobstoreError('ENOTSUP', message, { cause: withoutPath(cause) });
  }
}

/** Makes the file; nothing of it is left behind when that fails half way. */
function createFile(options: CheckedOptions, fs: FileSystem): number {
  const doing = `create ${options.label} of ${options.sizeBytes} bytes`;
  let made: number;
  try {
    made = fs.openSync(options.path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, FILE_MODE);
  } catch (cause) {
    throw openError(cause, doing);
  }
  try {
    fs.sparseSync(made);
    fs.ftruncateSync(made, options.sizeBytes);
    fs.fsyncSync(made);
    syncFolder(path.dirname(options.path), fs);
    // Opened anew rather than with these flags above, so that a file system without O_DIRECT is told like any other's.
    return openSame(options, { identity: identityOf(fs, made), descriptor: made }, fs);
  } catch (cause) {
    fs.unlinkSync(options.path);
    throw openError(cause, doing);
  } finally {
    fs.closeSync(made);
  }
}

/** Brings the new name to the medium, where the system lets a folder be flushed. */
function syncFolder(folder: string, fs: FileSystem): void {
  let fd: number | undefined;
  try {
    fd = fs.openSync(folder, constants.O_RDONLY);
    fs.fsyncSync(fd);
  } catch (cause) {
    if (codeOf(cause) === 'EIO') throw cause;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}
