/** Opens and closes a store with two I/O workers. Run by `worker-code.test.ts`; the argument says what the store is on. */

import { createStore } from '@blobyard/workers';
import { UnopenableDevice } from './unopenable-device.js';

const SIZE_BYTES = 4 << 20;
const STORES = {
  memory: () => ({ device: { kind: 'memory', sizeBytes: SIZE_BYTES } as const }),
  custom: () => ({ device: new UnopenableDevice(SIZE_BYTES).spec }),
  external: () => ({ ...STORES.memory(), openExternalSnapshot: () => undefined }),
};

const options = STORES[process.argv[2] as keyof typeof STORES]();
await (await createStore({ ...options, threads: 2 })).close();
