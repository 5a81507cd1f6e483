/**
 * The files that worker threads load. Either has each class and each piece of module state once:
 * - `built`: one file for each kind of worker, made by the build. It has all of this project's code in it, and loads in a
 *   tenth of the time.
 * - `modules`: the modules as they were compiled, which importing this project's packages also finds. For stores whose
 *   devices may be of a module of the user: that may import `blobyard/devices`, and its devices must be of the classes
 *   that the worker knows.
 */

import type { DeviceSpec } from '@blobyard/io';

export type WorkerCode = 'built' | 'modules';

/**
 * The code for the threads of a store.
 * @param findsExternal - external snapshots may come later, on devices of any kind
 */
export function codeFor(device: DeviceSpec, findsExternal: boolean): WorkerCode {
  return device.kind === 'custom' || findsExternal ? 'modules' : 'built';
}
