/**
 * The one error class of the project. Its codes are POSIX names with their Linux numbers, because they are what SPDK
 * blobstore answers and what a Node service already knows how to branch on.
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

export type ErrorCode = keyof typeof ERRNO;

/** An operation that failed. `code` is for programs, `message` says what was asked, what was found and what to do. */
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

/** A blob that may well be whole, but cannot be opened here: what is missing is no damage of the store. */
export class UnavailableBlobError extends BlobstoreError {}

/** What opening an external snapshot failed with: it says nothing about the store's own device. */
export class ExternalSnapshotError extends UnavailableBlobError {}

/** A blob, or a metadata page, that is damaged. */
export interface Damage {
  /** The blob; of a page that no blob can be told to have: the id of the blob that would begin there. */
  readonly id: bigint;
  readonly error: BlobstoreError;
}

/** A store that is not opened because of damage, all of which it names in `damaged`. */
export class DamagedStoreError extends BlobstoreError {
  readonly damaged: readonly Damage[];

  constructor(message: string, damaged: readonly Damage[]) {
    super('EILSEQ', message);
    this.damaged = damaged;
  }
}

/**
 * The failure as a `BlobstoreError`: itself if it is one already, otherwise wrapped. Errors of Node's file system keep their
 * code where this project has it, and become EIO where it does not.
 */
export function toBlobstoreError(cause: unknown, doing: string): BlobstoreError {
  try {
    if (cause instanceof BlobstoreError) return cause;
    const code = (cause as { code?: unknown } | null | undefined)?.code;
    const known = typeof code === 'string' && Object.hasOwn(ERRNO, code) ? (code as ErrorCode) : 'EIO';
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new BlobstoreError(known, `${doing}: ${reason}`, { cause });
  } catch {
    // Anything can be thrown, also what throws when it is looked at.
    return new BlobstoreError('EIO', `${doing}: what was thrown cannot be looked at`, { cause });
  }
}

/** The failure as users are to see it: as `toBlobstoreError`, but for our own bugs, which stay what they are. */
export function coded(error: unknown, doing: string): BlobstoreError | InvariantError {
  return error instanceof InvariantError ? error : toBlobstoreError(error, doing);
}

/** A broken invariant of our own code: a bug, never a consequence of input. */
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
