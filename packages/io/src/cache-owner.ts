/** Identifies the running system, whose page cache keeps what was written to a file and not flushed. */

import { readFileSync } from 'node:fs';

const BOOT_ID_PATH = '/proc/sys/kernel/random/boot_id';
const BOOT_ID_BYTES = 16;

let known: { readonly bootId: Uint8Array | undefined } | undefined;

/**
 * Linux's boot id, 16 bytes; it changes with each start of the system. Undefined on other systems, or where it cannot
 * be read. Any thread; read once in each.
 */
export function bootId(): Uint8Array | undefined {
  known ??= { bootId: readBootId() };
  return known.bootId;
}

function readBootId(): Uint8Array | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const bytes = Buffer.from(readFileSync(BOOT_ID_PATH, 'latin1').replaceAll('-', '').trim(), 'hex');
    return bytes.length === BOOT_ID_BYTES ? new Uint8Array(bytes) : undefined;
  } catch {
    return undefined;
  }
}
