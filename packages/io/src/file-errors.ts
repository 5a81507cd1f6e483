/** What the system says when a file cannot be opened or used, as this project's errors. */

import { BlobstoreError, ERRNO, type ErrorCode } from '@blobyard/core';

/** A transfer is tried again so many times without a byte moving, before it fails. */
const ATTEMPTS_MAX = 1000;

/** Codes of the system that mean, for a transfer, one of ours; all others mean EIO. */
const TRANSFER_CODES: Readonly<Record<string, ErrorCode>> = {
  EBADF: 'EBADF',
  EDQUOT: 'ENOSPC',
  EFBIG: 'ENOSPC',
  ENOMEM: 'ENOMEM',
  ENOSPC: 'ENOSPC',
  EPERM: 'EPERM',
};

/** Codes of the system that mean, for opening a file, one of ours. */
const OPEN_CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'EPERM',
  EDQUOT: 'ENOSPC',
  EFBIG: 'ENOSPC',
  EISDIR: 'EINVAL',
  ENOTDIR: 'ENOENT',
  EROFS: 'EPERM',
};

/**
 * How file systems and kernels say that they have no hole punching, and this package where its native part is missing.
 */
const UNSUPPORTED_CODES = new Set(['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'ENODEV']);

/** The error's code, if it is one of the system or of this project. */
export function codeOf(cause: unknown): string | undefined {
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** A failed read, write, zeroing or flush. */
export function transferError(cause: unknown, doing: string): BlobstoreError {
  if (cause instanceof BlobstoreError) return cause;
  const code = TRANSFER_CODES[codeOf(cause) ?? ''] ?? 'EIO';
  return failure(code, cause, doing);
}

/** A file that could not be opened or made. */
export function openError(cause: unknown, doing: string): BlobstoreError {
  if (cause instanceof BlobstoreError) return cause;
  const given = codeOf(cause) ?? '';
  return failure(OPEN_CODES[given] ?? (Object.hasOwn(ERRNO, given) ? (given as ErrorCode) : 'EIO'), cause, doing);
}

function failure(code: ErrorCode, thrown: unknown, doing: string): BlobstoreError {
  const cause = withoutPath(thrown);
  return new BlobstoreError(code, `${doing}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}

/**
 * The system's error without the path that Node puts into it: with links resolved, or a folder before it, that is more than the
 * user has named.
 */
export function withoutPath(cause: unknown): unknown {
  if (!(cause instanceof Error) || !('path' in cause)) return cause;
  const { code, errno, syscall } = cause as NodeJS.ErrnoException;
  const [reason] = cause.message.split(`, ${syscall}`);
  return Object.assign(new Error(`${reason}, ${syscall}`), { code, errno, syscall });
}

/** The file ended inside the device. */
export function truncatedError(path: string, position: number, lengthBytes: number, doneBytes: number): BlobstoreError {
  const asked = `read of ${lengthBytes} bytes at byte ${position} of ${path}`;
  return new BlobstoreError('EIO', `${asked} met its end after ${doneBytes}: the file was truncated while it was open`);
}

/** The file is shorter than the device that it is open as. */
export function cutError(path: string, operation: string, wholeBytes: number, foundBytes: number): BlobstoreError {
  const found = `the file was truncated while it was open, from ${wholeBytes} bytes to ${foundBytes}`;
  return new BlobstoreError('EIO', `${operation} of ${path}: ${found}; what was beyond is lost`);
}

/** The system took no byte of a write and gave no reason. */
export function stuckWriteError(path: string, position: number, lengthBytes: number): BlobstoreError {
  return new BlobstoreError('EIO', `write of ${lengthBytes} bytes at byte ${position} of ${path} makes no progress`);
}

/** Whether to try the call again: a signal came, or the system said "again". @param attempt - from 1. */
export function mayRetry(cause: unknown, attempt: number): boolean {
  const code = codeOf(cause);
  return (code === 'EINTR' || code === 'EAGAIN') && attempt < ATTEMPTS_MAX;
}

/** Whether the error means that the file system will never do this. */
export function isUnsupported(cause: unknown): boolean {
  return UNSUPPORTED_CODES.has(codeOf(cause) ?? '');
}
