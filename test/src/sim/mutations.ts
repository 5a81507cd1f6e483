/**
 * Faults that the simulator must see: each takes a barrier away, or changes the order of two steps. They are made in the built
 * files of `packages/core` while these are loaded (see `mutation-loader.ts`); the product has no switch for them.
 */

export interface Mutation {
  readonly name: string;
  /** In `packages/core/dist`. */
  readonly file: string;
  /** What is replaced; it must be there exactly once. */
  readonly snippet: string;
  readonly replacement: string;
  /** A seed that finds it. */
  readonly caughtBy: number;
}

/** Barriers, by what WRITE-ORDER.md says of them. */
const BARRIERS: readonly Omit<Mutation, 'caughtBy'>[] = [
  {
    name: 'persist-data-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (namesClusters)\n            yield* store.barrier();',
    replacement: '',
  },
  {
    name: 'persist-extent-pages-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (extentPages.length > 0 && chain.pages.length === 1)\n            yield* store.barrier();',
    replacement: '',
  },
  {
    name: 'persist-chain-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (pages.length > 1)\n            yield* store.barrier();',
    replacement: '',
  },
  {
    name: 'persist-root-barrier',
    file: 'metadata/persist.js',
    snippet:
      'geometry.mdPageToLba(blob.page), geometry.blocksPerPage));\n        yield* store.barrier();',
    replacement: 'geometry.mdPageToLba(blob.page), geometry.blocksPerPage));',
  },
  {
    name: 'clear-stale-barrier',
    file: 'metadata/clearing.js',
    snippet: 'yield* clearClusters(store, blob.clearMethod, clusters);\n    yield* store.barrier();',
    replacement: 'yield* clearClusters(store, blob.clearMethod, clusters);',
  },
  {
    name: 'super-block-barrier',
    file: 'store/super-block-io.js',
    snippet: 'PAGE_BYTES / store.device.blockLengthBytes));\n    yield* store.barrier();',
    replacement: 'PAGE_BYTES / store.device.blockLengthBytes));',
  },
  {
    name: 'delete-root-barrier',
    file: 'metadata/delete.js',
    snippet: 'yield* zeroPages(store, [blob.page]);\n    yield* store.barrier();',
    replacement: 'yield* zeroPages(store, [blob.page]);',
  },
  {
    name: 'snapshot-data-barrier',
    file: 'metadata/snapshot.js',
    snippet: "yield* store.barrier(); // the snapshot's data is as durable as the snapshot",
    replacement: '',
  },
  {
    name: 'high-water-dirty-mark',
    file: 'store/high-water.js',
    snippet: 'yield* markDirty(store); // a store that is clean on disk means its mask',
    replacement: '',
  },
  {
    name: 'high-water-barrier',
    file: 'store/high-water.js',
    snippet: 'geometry.pageToLba(pageCount)));\n    yield* store.barrier();',
    replacement: 'geometry.pageToLba(pageCount)));',
  },
  {
    name: 'discard-barrier',
    file: 'metadata/discard-cluster.js',
    snippet: 'yield* clearClusters(store, blob.clearMethod, [claimed.cluster]);\n            yield* store.barrier();',
    replacement: 'yield* clearClusters(store, blob.clearMethod, [claimed.cluster]);',
  },
  {
    name: 'uncleared-barrier',
    file: 'metadata/discard-cluster.js',
    snippet: "yield* clearClusters(store, 'default', clusters);\n    yield* store.barrier();",
    replacement: "yield* clearClusters(store, 'default', clusters);",
  },
  {
    name: 'unload-data-barrier',
    file: 'store/unload.js',
    snippet: 'yield* clearUncleared(store);\n        yield* store.barrier();',
    replacement: 'yield* clearUncleared(store);',
  },
  {
    name: 'unload-masks-barrier',
    file: 'store/unload.js',
    snippet: 'yield* writeMasks(store, block);\n        yield* store.barrier();',
    replacement: 'yield* writeMasks(store, block);',
  },
  {
    name: 'recovery-clearing-barrier',
    file: 'store/high-water.js',
    snippet: 'first = used.findFirstClear(end);\n    }\n    yield* store.barrier();',
    replacement: 'first = used.findFirstClear(end);\n    }',
  },
  {
    name: 'recovery-masks-barrier',
    file: 'store/load.js',
    snippet: 'yield* writeMasks(store, block);\n        yield* store.barrier();',
    replacement: 'yield* writeMasks(store, block);',
  },
  {
    name: 'grow-mask-barrier',
    file: 'store/grow.js',
    snippet:
      'yield* wait(channel.write(bytes, 0, mask.start * blocksPerPage, mask.count * blocksPerPage));\n    yield* wait(barrier());',
    replacement: 'yield* wait(channel.write(bytes, 0, mask.start * blocksPerPage, mask.count * blocksPerPage));',
  },
  {
    name: 'grow-super-block-barrier',
    file: 'store/grow.js',
    snippet: 'yield* wait(channel.write(block.bytes, 0, 0, blocksPerPage));\n    yield* wait(barrier());',
    replacement: 'yield* wait(channel.write(block.bytes, 0, 0, blocksPerPage));',
  },
  {
    name: 'init-clearing-barrier',
    file: 'store/init.js',
    snippet: "yield* batch.close();\n    if (options.durability !== 'process-crash')\n        yield* wait(channel.flush());",
    replacement: 'yield* batch.close();',
  },
  {
    name: 'init-super-block-barrier',
    file: 'store/init.js',
    snippet:
      "geometry.blocksPerPage));\n        if (options.durability !== 'process-crash')\n            yield* wait(deviceChannel.flush());",
    replacement: 'geometry.blocksPerPage));',
  },
  {
    name: 'undo-adoption-barrier',
    file: 'metadata/delete-snapshot.js',
    snippet: 'yield* writeExtentPage(store, snapshot, index, snapshot.clusterCount);\n    yield* store.barrier();',
    replacement: 'yield* writeExtentPage(store, snapshot, index, snapshot.clusterCount);',
  },
  {
    name: 'flush-device',
    file: 'store/blobstore.js',
    snippet: 'yield* sync(this.#state, blob);\n        }\n        yield* wait(this.#state.deviceChannel.flush());',
    replacement: 'yield* sync(this.#state, blob);\n        }',
  },
];

/** Orders of steps. */
const ORDERS: readonly Omit<Mutation, 'caughtBy'>[] = [
  {
    name: 'root-before-extent-pages',
    file: 'metadata/persist.js',
    snippet: 'yield* batch.close();\n        if (extentPages.length > 0 && chain.pages.length === 1)',
    replacement:
      'yield* writeChain(store, blob, chain);\n        yield* batch.close();\n        return;\n        if (extentPages.length > 0 && chain.pages.length === 1)',
  },
];

export const MUTATIONS: readonly Mutation[] = [...BARRIERS, ...ORDERS].map((mutation) => ({ ...mutation, caughtBy: 0 }));
