/** Turns the system's errors of file operations into this project's errors. */

import { BlobstoreError, ERRNO, type ErrorCode } from '@blobyard/core';

/** A transfer that moves no byte is tried this many times before it fails. */
const ATTEMPTS_MAX = 1000;

/** System error codes of transfers, and the codes of this project for them; all others become EIO. */
const TRANSFER_CODES: Readonly<Record<string, ErrorCode>> = {
  EBADF: 'EBADF',
  EDQUOT: 'ENOSPC',
  EFBIG: 'ENOSPC',
  ENOMEM: 'ENOMEM',
  ENOSPC: 'ENOSPC',
  EPERM: 'EPERM',
};

/** System error codes of opening a file that become another code of this project. */
const OPEN_CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'EPERM',
  EDQUOT: 'ENOSPC',
  EFBIG: 'ENOSPC',
  EISDIR: 'EINVAL',
  ENOTDIR: 'ENOENT',
  EROFS: 'EPERM',
};

/** Codes for missing hole punching: of file systems and kernels, and of this package without its native part. */
const UNSUPPORTED_CODES = new Set(['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'ENODEV']);

/** The `code` of an error of the system or of this project; undefined for others. */
export function codeOf(cause: unknown): string | undefined {
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** The error for a failed read, write, zeroing or flush. */
export function transferError(cause: unknown, doing: string): BlobstoreError {
  if (cause instanceof BlobstoreError) return cause;
  const code = TRANSFER_CODES[codeOf(cause) ?? ''] ?? 'EIO';
  return failure(code, cause, doing);
}

/** The error for a file that could not be opened or created. */
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
 * The system's error without the path that Node puts into it. That path may be absolute or have its links resolved, and
 * so show more than the user has named.
 */
export function withoutPath(cause: unknown): unknown {
  if (!(cause instanceof Error) || !('path' in cause)) return cause;
  const { code, errno, syscall } = cause as NodeJS.ErrnoException;
  const [reason] = cause.message.split(`, ${syscall}`);
  return Object.assign(new Error(`${reason}, ${syscall}`), { code, errno, syscall });
}

/** The error for a read that reached the end of the file inside the device. */
export function truncatedError(path: string, position: number, lengthBytes: number, doneBytes: number): BlobstoreError {
  const asked = `read of ${lengthBytes} bytes at byte ${position} of ${path}`;
  const found = `reached the end of the file after ${doneBytes} bytes: it was truncated while it was open; restore the file`;
  return new BlobstoreError('EIO', `${asked} ${found}`);
}

/** The error for a file that has become shorter than its device. */
export function cutError(path: string, operation: string, wholeBytes: number, foundBytes: number): BlobstoreError {
  const found = `the file was truncated while it was open, from ${wholeBytes} bytes to ${foundBytes}`;
  return new BlobstoreError(
    'EIO',
    `${operation} of ${path}: ${found}; the data beyond is lost unless the file is restored`,
  );
}

/** The error for a write of which the system took no byte, without an error. */
export function stuckWriteError(path: string, position: number, lengthBytes: number): BlobstoreError {
  return new BlobstoreError(
    'EIO',
    `write of ${lengthBytes} bytes at byte ${position} of ${path}: the system writes nothing, and reports no error; check the file system`,
  );
}

/** Whether to repeat a call: a signal interrupted it, or the system asks to try again. @param attempt - from 1 */
export function mayRetry(cause: unknown, attempt: number): boolean {
  const code = codeOf(cause);
  return (code === 'EINTR' || code === 'EAGAIN') && attempt < ATTEMPTS_MAX;
}

/** Whether the error means that the file system does not support the operation. */
export function isUnsupported(cause: unknown): boolean {
  return UNSUPPORTED_CODES.has(codeOf(cause) ?? '');
}
