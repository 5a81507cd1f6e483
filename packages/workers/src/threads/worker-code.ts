/**
 * The code that worker threads load, in one of two forms:
 * - `built`: one file for each kind of worker, made by the build. It has all of this project's code in it, and loads in
 *   a tenth of the time.
 * - `modules`: the compiled modules, the same ones that a program gets which imports this project's packages. For
 *   stores whose devices may come from a module of the user. That module may import `blobyard/devices`, and then its
 *   devices must be of the same classes that the worker uses: with `built` each class would exist twice.
 */

import type { DeviceSpec } from '@blobyard/io';

export type WorkerCode = 'built' | 'modules';

/**
 * Chooses the code for the threads of a store.
 * @param findsExternal - true if external snapshots may be opened later, on devices of any kind
 */
export function codeFor(device: DeviceSpec, findsExternal: boolean): WorkerCode {
  return device.kind === 'custom' || findsExternal ? 'modules' : 'built';
}
