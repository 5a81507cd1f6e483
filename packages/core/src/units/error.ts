/**
 * The error classes of the project. Error codes are POSIX names with their Linux numbers. SPDK blobstore returns the
 * same numbers, and Node's own errors have the same names.
 */

/** Every code that an operation of this project can fail with, and its Linux errno number. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  ENOMEM: 12,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  EILSEQ: 84,
  ENOTSUP: 95,
  ECANCELED: 125,
} as const;

/** The code of a `BlobstoreError`. */
export type ErrorCode = keyof typeof ERRNO;

/** An operation that failed. `code` is for programs; `message` says what was asked, what was found and what to do. */
export class BlobstoreError extends Error {
  readonly code: ErrorCode;
  /** The code as a negative Linux errno, as SPDK reports it. */
  readonly errno: number;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'BlobstoreError';
    this.code = code;
    this.errno = -ERRNO[code];
  }
}

/**
 * A blob that this engine cannot open, although the blob itself may be intact: the store does not count as damaged. The
 * code is EINVAL for flags of a newer version, ENOMEM for more clusters than a map in this store can have, and ENOTSUP
 * for an external snapshot when the store was opened without a callback.
 */
export class UnavailableBlobError extends BlobstoreError {}

/** Opening an external snapshot failed. The store's own device has not failed. */
export class ExternalSnapshotError extends UnavailableBlobError {}

/** A blob, or a metadata page, that is damaged. */
export interface Damage {
  /**
   * The blob's id. For a page whose blob is not known: the id that a blob would have whose chain begins at that page.
   */
  readonly id: bigint;
  readonly error: BlobstoreError;
}

/** A store was not opened because it is damaged. Its code is EILSEQ; `damaged` lists all the damage that was found. */
export class DamagedStoreError extends BlobstoreError {
  readonly damaged: readonly Damage[];

  constructor(message: string, damaged: readonly Damage[]) {
    super('EILSEQ', message);
    this.damaged = damaged;
  }
}

/**
 * Converts any thrown value to a `BlobstoreError`. A `BlobstoreError` is returned as it is; anything else becomes its
 * `cause`. The code of an error of Node's file system is kept if it is in `ERRNO`; otherwise the code is EIO.
 * @param doing - what failed; the message begins with it
 */
export function toBlobstoreError(cause: unknown, doing: string): BlobstoreError {
  try {
    if (cause instanceof BlobstoreError) return cause;
    const code = (cause as { code?: unknown } | null | undefined)?.code;
    const known = typeof code === 'string' && Object.hasOwn(ERRNO, code) ? (code as ErrorCode) : 'EIO';
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new BlobstoreError(known, `${doing}: ${reason}`, { cause });
  } catch {
    // Any value can be thrown, including one whose getters throw.
    return new BlobstoreError('EIO', `${doing}: the thrown value cannot be inspected`, { cause });
  }
}

/**
 * As `toBlobstoreError`, for errors that reach users. An `InvariantError` is returned as it is, because it is a bug of
 * this project.
 */
export function coded(error: unknown, doing: string): BlobstoreError | InvariantError {
  return error instanceof InvariantError ? error : toBlobstoreError(error, doing);
}

/** A broken invariant: a bug in this project, never a consequence of its input. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(`blobyard bug: ${message}`);
    this.name = 'InvariantError';
  }
}

/** Throws `InvariantError` unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
