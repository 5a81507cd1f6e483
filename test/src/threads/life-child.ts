/** Programs that use a store, to be run as processes. The first argument selects the program. */

import { createStore, type Store } from 'blobyard';
import { poison } from './mortal-device.js';
import { OPENING, UnopenableDevice } from './unopenable-device.js';

const device = { kind: 'memory', sizeBytes: 16 << 20 } as const;
const open = (): Promise<Store> => createStore({ device, threads: 2, clusterSizeBytes: 65536 });
const say = (what: string) => console.log(what);

const PROGRAMS: Record<string, () => Promise<unknown>> = {
  async 'opens and ends'() {
    await open();
    say('open');
  },

  async 'is kept alive by its store'() {
    const store = await createStore({ device, threads: 1, clusterSizeBytes: 65536, keepAlive: true });
    const unnoticed = setTimeout(() => void store.close().then(() => say('closed')), 300);
    unnoticed.unref(); // so that only the store keeps the process alive
  },

  async 'is kept alive by its inline store'() {
    const store = await createStore({ device, clusterSizeBytes: 65536, keepAlive: true });
    const unnoticed = setTimeout(() => void store.close().then(() => say('closed')), 300);
    unnoticed.unref();
  },

  async 'uses and ends'() {
    const store = await open();
    const blob = await store.create({ sizeBytes: 1 << 20 });
    for (let index = 0; index < 50; index++) await blob.write(new Uint8Array(65536).fill(index), 0);
    await store.flush();
    say(`${(await blob.read(0, 1))[0]}`);
  },

  async 'leaves a read under way'() {
    const store = await open();
    const blob = await store.create({ sizeBytes: 1 << 20 });
    void blob.read(0, new Uint8Array(4096)).then(() => say('read'));
  },

  async 'leaves a metadata operation under way'() {
    const store = await open();
    void store.create({ sizeBytes: 1 << 20 }).then(() => say('created'));
  },

  async 'leaves opening under way'() {
    void open().then(() => say('open'));
  },

  async 'leaves closing under way'() {
    const store = await open();
    await store.create({ sizeBytes: 1 << 20 });
    void store.close().then(() => say('closed'));
  },

  async 'cannot replace its worker'() {
    const yard = new UnopenableDevice(16 << 20);
    const store = await createStore({ device: yard.spec, threads: 1, clusterSizeBytes: 65536 });
    const blob = await store.create({ sizeBytes: 1 << 20 });
    yard.opening = OPENING.FAILS;
    await blob.write(poison('exit'), 0).catch(() => undefined);
    await blob.read(0, 4096).catch(() => say('refused'));
  },

  async 'opens again and again'() {
    for (let time = 0; time < 5; time++) {
      const store = await open();
      await (await store.create({ sizeBytes: 1 << 20 })).write(new Uint8Array(100), 5);
      await store.close();
    }
    say('five times');
  },
};

await PROGRAMS[process.argv[2]]();
