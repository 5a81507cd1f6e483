/** The dump with checked arguments and defaults, for users. */

import type { BlockDevice } from '../device/block-device.js';
import type { Steps } from '../steps/steps.js';
import { bytesToText, dump, type PrintText, type PrintXattr } from '../store/dump.js';
import { checkFunction } from '../units/argument-checks.js';
import { checkDevice } from './engine-checks.js';

/**
 * Dumps the metadata of an unloaded store as text, one character per byte. By default, types, names and values are
 * printed as they are. On a terminal pass printers that escape them, because they can contain control sequences.
 * @param write - called with each piece of the text, also before an error
 * @param printXattr - prints the value of an xattr
 * @param printText - prints text from the disk: types and names of xattrs
 * @throws EILSEQ when the device holds no store, ENOSPC when it is smaller than 1 MiB, EIO of the device
 */
export function* dumpStore(
  device: BlockDevice,
  write: (text: string) => void,
  printXattr: PrintXattr = (_, value) => bytesToText(value),
  printText: PrintText = (text) => text,
): Steps<void> {
  checkDevice(device);
  checkFunction('write', write);
  checkFunction('printXattr', printXattr);
  checkFunction('printText', printText);
  yield* dump(device, write, { printXattr, printText });
}
