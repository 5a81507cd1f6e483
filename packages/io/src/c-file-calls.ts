/**
 * Hole punching and file locks by calls of the C library. The locks are Linux's "open file description locks", the same
 * that fs-native-extensions takes, so that they exclude each other.
 */

import type { CLibrary } from './c-library.js';

/** Constants of Linux. */
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
const PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01;

/** `struct flock`: two 16-bit numbers, padding, two 64-bit numbers, a process id, padding. */
const FLOCK_BYTES = 32;
const START_BYTE = 8;
const LENGTH_BYTE = 16;

type Fcntl = (fd: number, command: number, type: 'void *', lock: Uint8Array) => number;
type Fallocate = (fd: number, mode: number, position: number, lengthBytes: number) => number;

/** The calls, in the form in which fs-native-extensions has them. */
export function cFileCalls(library: CLibrary) {
  const fcntl = library.func('int fcntl(int fd, int command, ...)') as Fcntl;
  const fallocate = library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as Fallocate;
  const setLock = (fd: number, type: number, start: number, lengthBytes: number): boolean => {
    const lock = new DataView(new ArrayBuffer(FLOCK_BYTES));
    lock.setInt16(0, type, true);
    lock.setBigInt64(START_BYTE, BigInt(start), true);
    lock.setBigInt64(LENGTH_BYTE, BigInt(lengthBytes), true);
    if (fcntl(fd, F_OFD_SETLK, 'void *', new Uint8Array(lock.buffer)) === 0) return true;
    const error = library.lastError('fcntl');
    if (error.code === 'EAGAIN' || error.code === 'EACCES') return false;
    throw error;
  };
  const trimSync = (fd: number, position: number, lengthBytes: number): void => {
    if (fallocate(fd, PUNCH_HOLE_KEEP_SIZE, position, lengthBytes) !== 0) throw library.lastError('fallocate');
  };
  return {
    trimSync,
    trim: async (fd: number, position: number, lengthBytes: number) => trimSync(fd, position, lengthBytes),
    sparseSync: () => undefined,
    tryLock: (fd: number, start: number, lengthBytes: number, { shared }: { shared: boolean }) =>
      setLock(fd, shared ? F_RDLCK : F_WRLCK, start, lengthBytes),
    unlock(fd: number, start: number, lengthBytes: number) {
      setLock(fd, F_UNLCK, start, lengthBytes);
    },
  };
}
