/** The dump as users call it: their arguments are checked, and what they leave out is filled in. */

import type { BlockDevice } from '../device/block-device.js';
import type { Steps } from '../steps/steps.js';
import { bytesToText, dump, type PrintText, type PrintXattr } from '../store/dump.js';
import { checkDevice, unusable } from './argument-checks.js';

/**
 * Dumps the metadata of an unloaded store, one character a byte. Types, names and values come out as they are, unless told
 * otherwise: on a terminal they would be obeyed.
 * @param write - is given the text piece by piece, also before an error
 * @throws EILSEQ when the device holds no store, ENOSPC when it is smaller than 1 MiB, EIO of the device.
 */
export function* dumpStore(
  device: BlockDevice,
  write: (text: string) => void,
  printXattr: PrintXattr = (_, value) => bytesToText(value),
  printText: PrintText = (text) => text,
): Steps<void> {
  checkDevice(device);
  if (typeof write !== 'function') throw unusable('what the text is written to', 'a function');
  if (typeof printXattr !== 'function') throw unusable('what prints xattrs', 'a function');
  if (typeof printText !== 'function') throw unusable('what prints text', 'a function');
  yield* dump(device, write, { printXattr, printText });
}
