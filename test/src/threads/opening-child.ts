/**
 * Opens and closes a store, with two I/O workers unless it is inline. Run by `worker-code.test.ts`. The argument
 * selects the store.
 */

import { createStore } from '@blobyard/workers';
import { UnopenableDevice } from './unopenable-device.js';

const SIZE_BYTES = 4 << 20;
const STORES = {
  memory: () => ({ device: { kind: 'memory', sizeBytes: SIZE_BYTES } as const }),
  custom: () => ({ device: new UnopenableDevice(SIZE_BYTES).spec }),
  external: () => ({ ...STORES.memory(), openExternalSnapshot: () => undefined }),
  inline: () => ({ ...STORES.memory(), threads: 0 }),
};

const options = STORES[process.argv[2] as keyof typeof STORES]();
await (await createStore({ threads: 2, ...options })).close();
