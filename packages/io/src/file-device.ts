/**
 * A device on a file or on a block device node.
 *
 * By default it is synchronous: the calling thread makes the system calls. For data in the page cache a system call
 * costs less than a promise, and this project gets its concurrency from threads. With `mode: 'async'` Node's thread
 * pool makes the system calls.
 *
 * `unmap` and `writeZeroes` punch holes in the file. The next write to a hole allocates space again, and can fail with
 * ENOSPC. Where hole punching is not supported, which the first attempt shows, zeroes are written.
 */

import { constants } from 'node:fs';
import path from 'node:path';
import { BlobstoreError, type DeviceChannel } from '@blobyard/core';
import {
  checkAnyObject,
  checkBoolean,
  checkChoice,
  checkInteger,
  checkMultiple,
  checkObject,
  checkText,
  invalid,
} from '@blobyard/core/internal/argument-checks';
import { checkOpen } from './bounds.js';
import { bootId } from './cache-owner.js';
import { AsyncFileChannel, MappedFileChannel, SyncFileChannel } from './file-channel.js';
import { codeOf, openError, withoutPath } from './file-errors.js';
import { identityOf, openSameFile, type SameFile } from './file-identity.js';
import { checkPath, type FilePath } from './file-path.js';
import { requireSyncs } from './file-syncs.js';
import { type FileSystem, nodeFileSystem } from './file-system.js';
import { loadMmap, MappedFile } from './mapped-file.js';
import { hasBlock } from './medium-size.js';
import { openNewFile, syncFolder } from './new-file.js';
import { OpenFile } from './open-file.js';
import type { ResizableDevice } from './resizable-device.js';

/** Options for opening or creating a file as a device. */
export interface FileDeviceOptions {
  /** A regular file or a block device. A relative path starts at the working directory of the process. */
  readonly path: FilePath;
  /** Creates the file, sparse, `sizeBytes` long; EEXIST if it exists. Default: false. */
  readonly create?: boolean;
  /**
   * The size of the new file in bytes, a multiple of the block length. Only with `create`, or if `openStore` is to create
   * the file.
   */
  readonly sizeBytes?: number;
  /**
   * Bytes in a block: a power of two from 512 to 65536; a store accepts up to 4096. Default: 4096; where an existing
   * store is opened or checked, the block length of that store.
   */
  readonly blockLengthBytes?: number;
  /**
   * Bypasses the page cache (O_DIRECT). Buffers from `allocateAligned` are transferred in place, others through a
   * bounce buffer. Default: false.
   */
  readonly direct?: boolean;
  /** Whether the calling thread waits for each operation ('sync') or gets a promise ('async'). Default: 'sync'. */
  readonly mode?: 'sync' | 'async';
  /**
   * Reads copy out of a mapping of the file into memory: a read of 4 KiB from the page cache takes half the time. A file
   * that somebody truncates, or a medium that fails, then ends the process (SIGBUS) where another read would throw EIO.
   * Needs Linux on x64 or arm64, and the optional package koffi. Not with `direct`, nor with mode 'async'. Default: false.
   */
  readonly mmap?: boolean;
  /** The name of the file in messages. Default: `path` as it was given. */
  readonly label?: string;
  /** Opens the file for reading only; all writes fail with EPERM. Default: false. */
  readonly readOnly?: boolean;
  /**
   * A file that this process has open already, from the `spec` of its device. That file is opened, even if `path` leads
   * to another one by now; ENOENT if it cannot be reached. Not with `create`. Default: whichever file `path` leads to.
   */
  readonly sameAs?: SameFile;
}

const DEFAULT_BLOCK_LENGTH_BYTES = 4096;
const BLOCK_LENGTH_BYTES_MIN = 512;
const BLOCK_LENGTH_BYTES_MAX = 65536;
const DESCRIPTOR_MAX = 2 ** 31 - 1;

/**
 * A device on a file or block device. Only the thread that opened it can use it; other threads open its `spec`. Make it
 * with `FileDevice.open`.
 */
export class FileDevice implements ResizableDevice {
  readonly blockLengthBytes: number;
  readonly synchronous: boolean;
  readonly canCopy = false;
  /**
   * The spec that opens this same file again, and never another one, in any thread of this process. It does not create
   * the file.
   */
  readonly spec: { readonly kind: 'file'; readonly path: string } & FileDeviceOptions;
  readonly #file: OpenFile;
  readonly #identity: string;
  readonly #mapped: MappedFile | undefined;
  readonly #channels = new Set<DeviceChannel>();
  #closing: void | Promise<void> | undefined;

  private constructor(file: OpenFile, identity: string, options: Omit<FileDevice['spec'], 'sameAs'>) {
    this.#file = file;
    this.#identity = identity;
    this.spec = { ...options, sameAs: { identity, descriptor: file.fd } };
    this.blockLengthBytes = file.blockLengthBytes;
    this.synchronous = options.mode !== 'async';
    this.#mapped = options.mmap ? new MappedFile(file, loadMmap()) : undefined;
  }

  /**
   * Opens or creates a file. Throws EINVAL for invalid options, for anything but a file or block device, or where
   * direct I/O needs larger blocks; ENOENT if there is no such file; EEXIST if the file to create exists; EPERM without
   * permission; ENOSPC if a new file does not fit; ENOTSUP where direct I/O or `mmap` is not supported.
   *
   * @param fs - the system calls; tests replace them
   */
  static open(options: FileDeviceOptions, fs: FileSystem = nodeFileSystem): FileDevice {
    const checked = checkOptions(checkAnyObject('a file device', options) as unknown as FileDeviceOptions);
    if (!checked.readOnly) requireSyncs();
    const fd = openOrCreate(checked, fs);
    try {
      const { blockLengthBytes, direct, readOnly, mode, mmap } = checked;
      const file = new OpenFile({ fs, fd, path: checked.label, blockLengthBytes, direct, readOnly });
      file.lookUpSize();
      const device = new FileDevice(file, identityOf(fs, fd), {
        kind: 'file',
        path: checked.path,
        blockLengthBytes,
        direct,
        mode,
        mmap,
        readOnly,
        ...(checked.label === checked.path ? {} : { label: checked.label }),
      });
      if (direct) device.#tryDirect();
      return device;
    } catch (cause) {
      fs.closeSync(fd);
      if (checked.create) fs.unlinkSync(checked.path);
      throw openError(cause, `open ${checked.label}`);
    }
  }

  /** Identifies the open file: two open devices with the same identity are on the same file, under whatever names. */
  get identity(): string {
    return this.#identity;
  }

  /** The file descriptor, valid in this process until `close`. */
  get descriptor(): number {
    return this.#file.fd;
  }

  /** True unless the file was opened with `direct`. */
  get takesBytes(): boolean {
    return this.#file.takesBytes;
  }

  /**
   * Whole blocks of the file when its size was last looked up. That is when the file is opened, in `refresh` and
   * `resize`, and when an operation goes beyond the known end, since another thread may have extended the file.
   */
  get blockCount(): number {
    return this.#file.blockCount;
  }

  /** The page cache of the running system keeps what was written, even if the process dies. */
  get cacheOwner(): Uint8Array | undefined {
    return bootId();
  }

  openChannel(): DeviceChannel {
    checkOpen('openChannel', this.#file.isOpen);
    const channel = this.#newChannel(() => this.#channels.delete(channel));
    this.#channels.add(channel);
    return channel;
  }

  #newChannel(onClose: () => void): DeviceChannel {
    if (this.#mapped !== undefined) return new MappedFileChannel(this.#file, onClose, this.#mapped);
    return this.synchronous ? new SyncFileChannel(this.#file, onClose) : new AsyncFileChannel(this.#file, onClose);
  }

  /** Looks the size of the file up again. Throws EBADF on a closed device, and the errors of the system. */
  refresh(): void {
    checkOpen('refresh', this.#file.isOpen);
    this.#file.lookUpSize();
  }

  /**
   * Truncates or extends the file. Throws EBADF on a closed device, EPERM on one opened with `readOnly`, EINVAL for an
   * invalid count, ENOTSUP for a block device, ENOSPC if the file cannot be that long.
   */
  resize(blockCount: number): void {
    this.#file.checkWritable('resize');
    const blocksMax = Math.floor(Number.MAX_SAFE_INTEGER / this.blockLengthBytes);
    checkInteger('the new block count', blockCount, 0, blocksMax);
    const { fs, fd } = this.#file;
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) {
      throw new BlobstoreError(
        'ENOTSUP',
        `${this.#file.path} is a block device: resize it with the system's tools, then call refresh`,
      );
    }
    try {
      // Bytes after the last whole block are not part of the device; growing it must not make them part of it.
      fs.ftruncateSync(fd, stats.size - (stats.size % this.blockLengthBytes));
      fs.ftruncateSync(fd, blockCount * this.blockLengthBytes);
    } catch (cause) {
      throw openError(cause, `resize ${this.#file.path} to ${blockCount} blocks`);
    }
    this.#file.lookUpSize();
  }

  /** Closes the file when the operations in flight have ended. Does not flush. May be called again. */
  close(): void | Promise<void> {
    if (this.#file.isOpen) {
      for (const channel of this.#channels) channel.close();
      this.#mapped?.unmap();
      this.#closing = this.#file.close();
    }
    return this.#closing;
  }

  /** Direct I/O fails for blocks shorter than those of the medium. Throws EINVAL now, instead of at the first read. */
  #tryDirect(): void {
    const { fs, fd, blockLengthBytes, blockCount, path } = this.#file;
    if (blockCount === 0 || hasBlock(fs, fd, 0, blockLengthBytes)) return;
    const found = `${path} does not support direct I/O in blocks of ${blockLengthBytes} bytes`;
    throw new BlobstoreError('EINVAL', `${found}; use a larger blockLengthBytes, or direct: false`);
  }
}

type CheckedOptions = Required<Omit<FileDeviceOptions, 'sameAs' | 'path'>> &
  Pick<FileDeviceOptions, 'sameAs'> & { readonly path: string };

function checkOptions(options: FileDeviceOptions): CheckedOptions {
  const { blockLengthBytes = DEFAULT_BLOCK_LENGTH_BYTES } = options;
  checkInteger('blockLengthBytes', blockLengthBytes, BLOCK_LENGTH_BYTES_MIN, BLOCK_LENGTH_BYTES_MAX);
  const isPowerOfTwo = Number.isInteger(Math.log2(blockLengthBytes));
  if (!isPowerOfTwo) throw invalid('blockLengthBytes', blockLengthBytes, 'a power of two');
  const create = checkBoolean('create', options.create, false);
  const readOnly = checkBoolean('readOnly', options.readOnly, false);
  const sameAs = checkSameFile(options.sameAs);
  if (create && sameAs !== undefined) throw invalid('sameAs', sameAs, 'left out for a new file (create: true)');
  if (create && readOnly) throw invalid('readOnly', readOnly, 'false for a new file (create: true)');
  if (!create && options.sizeBytes !== undefined) {
    throw invalid('sizeBytes', options.sizeBytes, 'left out for an existing file, or given with create: true');
  }
  const direct = checkBoolean('direct', options.direct, false);
  const mode = checkChoice('mode', options.mode, ['sync', 'async']);
  const mmap = checkBoolean('mmap', options.mmap, false);
  if (mmap && (direct || mode === 'async')) throw invalid('mmap', mmap, "false with direct: true or mode 'async'");
  const given = checkPath('path', options.path);
  return {
    path: path.resolve(given),
    label: options.label === undefined ? given : checkText('label', options.label),
    create,
    sizeBytes: create ? checkMultiple('sizeBytes', options.sizeBytes, blockLengthBytes, Number.MAX_SAFE_INTEGER) : 0,
    blockLengthBytes,
    direct,
    mode,
    mmap,
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
    const message = `the file system of ${options.label} does not support O_DIRECT; open the device with direct: false`;
    throw new BlobstoreError('ENOTSUP', message, { cause: withoutPath(cause) });
  }
}

/** Creates the file. Removes it again when a later step fails. */
function createFile(options: CheckedOptions, fs: FileSystem): number {
  const doing = `create ${options.label} of ${options.sizeBytes} bytes`;
  let made: number;
  try {
    made = openNewFile(fs, options.path);
  } catch (cause) {
    throw openError(cause, doing);
  }
  try {
    fs.sparseSync(made);
    fs.ftruncateSync(made, options.sizeBytes);
    fs.fsyncSync(made);
    syncFolder(path.dirname(options.path), fs);
    // Opened a second time, so that a missing O_DIRECT gives the same error as for an existing file.
    return openSame(options, { identity: identityOf(fs, made), descriptor: made }, fs);
  } catch (cause) {
    fs.unlinkSync(options.path);
    throw openError(cause, doing);
  } finally {
    fs.closeSync(made);
  }
}
