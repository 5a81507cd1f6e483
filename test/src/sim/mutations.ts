/**
 * Faults that the simulator must find. Each removes a write barrier or a step, or changes the order of two steps. They
 * are made in the built files of `packages/core` while these are loaded (see `mutation-loader.ts`), so the product has
 * no switch for them.
 */

export interface Mutation {
  readonly name: string;
  /** The file, relative to `packages/core/dist`. */
  readonly file: string;
  /** The code that is replaced. The file must have it exactly once. */
  readonly snippet: string;
  readonly replacement: string;
  /** A seed that finds it, if one is known. */
  readonly caughtBy: number | undefined;
}

/** Faults without one of the write barriers of docs/WRITE-ORDER.md. */
const BARRIERS: readonly Omit<Mutation, 'caughtBy'>[] = [
  {
    name: 'persist-data-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (changesNamed)\n        yield* store.barrier();',
    replacement: '',
  },
  {
    name: 'persist-extent-pages-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (rootWaits && chain.pages.length === 1)\n            yield* store.barrier();',
    replacement: '',
  },
  {
    name: 'persist-chain-barrier',
    file: 'metadata/persist.js',
    snippet: 'yield* batch.close();\n    yield* store.barrier();',
    replacement: 'yield* batch.close();',
  },
  {
    name: 'persist-root-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (!leavesBarrier || isReleasing(blob, numbers))\n            yield* store.barrier();',
    replacement: '',
  },
  {
    name: 'persist-map-barrier',
    file: 'metadata/persist.js',
    snippet: 'if (chain.pages.length === 0) {\n            yield* store.barrier();',
    replacement: 'if (chain.pages.length === 0) {',
  },
  {
    name: 'create-barrier',
    file: 'metadata/create.js',
    snippet: 'attach ? persistUntilBarrier(store, blob) : persist(store, blob)',
    replacement: 'persistUntilBarrier(store, blob)',
  },
  {
    name: 'barrier-left-out-before-releasing',
    file: 'metadata/persist.js',
    snippet: 'if (!leavesBarrier || isReleasing(blob, numbers))',
    replacement: 'if (!leavesBarrier)',
  },
  {
    name: 'removal-mark-barrier',
    file: 'metadata/delete-snapshot.js',
    snippet: 'clone.chainAfterBarrier = true;',
    replacement: '',
  },
  {
    name: 'named-page-taken-for-new',
    file: 'metadata/persist.js',
    snippet: 'chain.map.unnamedPages.delete(page);',
    replacement: ';',
  },
  {
    name: 'flush-serves-later-writes',
    file: 'state/device-flushes.js',
    snippet: 'const isServed = this.#succeeded > begun;',
    replacement: 'const isServed = this.#succeeded > begun || (this.#succeeded === begun && begun > 0);',
  },
  {
    name: 'flush-in-flight-serves',
    file: 'state/device-flushes.js',
    snippet: `else
                yield this.#inFlight;`,
    replacement: `else {
                yield this.#inFlight;
                return;
            }`,
  },
  {
    name: 'super-block-barrier',
    file: 'state/super-block-io.js',
    snippet: 'PAGE_BYTES / store.device.blockLengthBytes));\n    yield* store.barrierAtOnce();',
    replacement: 'PAGE_BYTES / store.device.blockLengthBytes));',
  },
  {
    name: 'delete-root-barrier',
    file: 'metadata/delete.js',
    snippet: 'yield* zeroPages(store, [blob.page]);\n    yield* store.barrier();',
    replacement: 'yield* zeroPages(store, [blob.page]);',
  },
  {
    name: 'high-water-dirty-mark',
    file: 'state/super-block-io.js',
    snippet: `    yield* updateSuper(store, (block) => {
        if (!store.clean)`,
    replacement: `    yield* beginMarks(store);
    yield* updateSuper(store, (block) => {
        if (!store.clean)`,
  },
  {
    name: 'high-water-barrier',
    file: 'state/high-water.js',
    snippet:
      'yield* wait(deviceChannel.write(bytes, 0, lba, geometry.blocksPerPage));\n    yield* store.barrierAtOnce();',
    replacement: 'yield* wait(deviceChannel.write(bytes, 0, lba, geometry.blocksPerPage));',
  },
  {
    name: 'discard-barrier',
    file: 'metadata/discard-cluster.js',
    snippet: 'yield* clearClusters(store, blob.clearMethod, [claimed.cluster]);\n            yield* store.barrier();',
    replacement: 'yield* clearClusters(store, blob.clearMethod, [claimed.cluster]);',
  },
  {
    name: 'unload-data-barrier',
    file: 'store/unload.js',
    snippet: 'yield* clearUncleared(store);\n        yield* store.barrierAtOnce();',
    replacement: 'yield* clearUncleared(store);',
  },
  {
    name: 'unload-masks-barrier',
    file: 'store/unload.js',
    snippet: 'yield* writeMasks(store, block);\n        yield* store.barrierAtOnce();',
    replacement: 'yield* writeMasks(store, block);',
  },
  {
    name: 'recovery-clearing-barrier',
    file: 'state/high-water.js',
    snippet: 'first = used.findFirstClear(end);\n    }\n    yield* store.barrierAtOnce();',
    replacement: 'first = used.findFirstClear(end);\n    }',
  },
  {
    name: 'recovery-first-barrier',
    file: 'store/load.js',
    snippet: `    if (isRecovered)
        yield* store.barrierAtOnce();
    if`,
    replacement: `    if`,
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
    snippet:
      "yield* batch.close();\n    if (options.durability !== 'process-crash')\n        yield* wait(channel.flush());",
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
    name: 'flush-device',
    file: 'metadata/flush.js',
    snippet: 'yield* attempts.attempt(() => flushDevice(store, begun));',
    replacement: '',
  },
];

/** Faults with steps in another order, or without a step. */
const ORDERS: readonly Omit<Mutation, 'caughtBy'>[] = [
  {
    name: 'root-before-extent-pages',
    file: 'metadata/persist.js',
    snippet: `        if (extentPages.length > 0)
            yield* writeExtentPages(store, blob, extentPages);`,
    replacement: `        const { deviceChannel, geometry } = store;
        const rest = chain.pages;
        if (rest.length === 1) {
            sealChain(rest, [blob.page]);
            yield* wait(deviceChannel.write(rest[0].bytes, 0, geometry.mdPageToLba(blob.page), geometry.blocksPerPage));
            yield* store.barrier();
        }
        if (extentPages.length > 0)
            yield* writeExtentPages(store, blob, extentPages);`,
  },
  {
    name: 'root-before-chain',
    file: 'metadata/persist.js',
    snippet: `        if (pages.length > 1)
            yield* writeBehindRoot(store, pages, numbers);`,
    replacement: `        const { deviceChannel, geometry } = store;
        yield* wait(deviceChannel.write(pages[0].bytes, 0, geometry.mdPageToLba(blob.page), geometry.blocksPerPage));
        yield* store.barrier();
        if (pages.length > 1)
            yield* writeBehindRoot(store, pages, numbers);`,
  },
  {
    name: 'changed-chain-not-written',
    file: 'metadata/decide.js',
    snippet: `    return (blob.chainChanged ||
        blob.rootInDoubt ||`,
    replacement: `    return (blob.rootInDoubt ||`,
  },
  {
    name: 'clusters-cleared-before-root',
    file: 'metadata/persist.js',
    snippet: `        if (store.writesThrough)
            yield* writeThrough(store, blob);`,
    replacement: `        const cut = [];
        blob.map.clusters.forEachSet((cluster) => cut.push(cluster), blob.clusterCount);
        for (const cluster of cut)
            yield* wait(store.deviceChannel.unmap(store.geometry.clusterToLba(cluster), store.geometry.blocksPerCluster));
        if (store.writesThrough)
            yield* writeThrough(store, blob);`,
  },
  {
    name: 'chain-zeroed-before-root',
    file: 'metadata/persist.js',
    snippet: `    const numbers = claimChain(store, blob, pages);`,
    replacement: `    const numbers = claimChain(store, blob, pages);
    for (const page of blob.chain.slice(1))
        yield* wait(store.deviceChannel.writeZeroes(store.geometry.mdPageToLba(page), store.geometry.blocksPerPage));`,
  },
  {
    name: 'dropped-released-before-root',
    file: 'metadata/persist.js',
    snippet: `    const chain = decideChain(store, blob, extentPages.length === 0 || needsRoot(blob));`,
    replacement: `    const chain = decideChain(store, blob, extentPages.length === 0 || needsRoot(blob));
    releaseClusters(store, chain.dropped);
    map.dropped = map.dropped.slice(chain.dropped.length);
    chain.dropped = [];`,
  },
  {
    name: 'dirty-mark-after-metadata',
    file: 'metadata/persist.js',
    snippet: `        yield* markDirty(store);
        if (store.writesThrough)
            yield* writeThrough(store, blob);
        else
            yield* writeDecided(store, blob, options);`,
    replacement: `        if (store.writesThrough)
            yield* writeThrough(store, blob);
        else
            yield* writeDecided(store, blob, options);
        yield* markDirty(store);`,
  },
  {
    name: 'insertion-after-decision',
    file: 'metadata/persist.js',
    snippet: `    if (changesNamed)
        yield* store.barrier();`,
    replacement: `    if (changesNamed)
        yield* store.barrier();
    for (const { index } of extentPages)
        blob.map.dirtyExtentPages.add(index);
    for (const { index, view } of decideExtentPages(store, blob))
        extentPages.find((each) => each.index === index)?.view.bytes.set(view.bytes);`,
  },
  {
    name: 'cut-off-by-size-in-memory',
    file: 'metadata/persist.js',
    snippet: `    const kept = keptClusterCount(blob);`,
    replacement: `    const kept = blob.clusterCount;`,
  },
  {
    name: 'delete-without-dirty-mark',
    file: 'metadata/delete.js',
    snippet: `    yield* markDirty(store);
    blob.state = 'dirty';`,
    replacement: `    blob.state = 'dirty';`,
  },
  {
    name: 'delete-clears-before-root',
    file: 'metadata/delete.js',
    snippet: `    yield* zeroPages(store, [blob.page]);`,
    replacement: `    yield* zeroPages(store, [...blob.chain.slice(1), ...[...blob.map.extentPages.entries()].filter((page) => page !== 0)]);
    yield* zeroPages(store, [blob.page]);`,
  },
  {
    name: 'snapshot-not-persisted-before-original',
    file: 'metadata/snapshot.js',
    snippet: `        moveMap(store, original, snapshot);
        yield* persist(store, snapshot);`,
    replacement: `        moveMap(store, original, snapshot);`,
  },
  {
    name: 'snapshot-without-mark',
    file: 'metadata/snapshot.js',
    snippet: `useExtentTable, xattrs }, [mark]);`,
    replacement: `useExtentTable, xattrs }, []);`,
  },
  {
    name: 'adoption-without-mark',
    file: 'metadata/delete-snapshot.js',
    snippet: `    yield* markPendingRemoval(store, snapshot, clone);`,
    replacement: ``,
  },
  {
    name: 'snapshot-deleted-before-adoption',
    file: 'metadata/delete-snapshot.js',
    snippet: `    const merged = mergeMaps(store, snapshot, clone);
    relink(snapshot, clone);`,
    replacement: `    const merged = mergeMaps(store, snapshot, clone);
    yield* wait(store.deviceChannel.writeZeroes(store.geometry.mdPageToLba(snapshot.page), store.geometry.blocksPerPage));
    yield* store.barrier();
    relink(snapshot, clone);`,
  },
  {
    name: 'adoption-not-given-back',
    file: 'store/load-visit.js',
    snippet: `        if (isClone)
            yield* giveBack(store, blob, clone);`,
    replacement: ``,
  },
  {
    name: 'no-high-water-mark',
    file: 'channel/cluster-allocator.js',
    snippet: `if (claimed.cluster >= shared.highWater)`,
    replacement: `if (false)`,
  },
  {
    name: 'no-high-water-mark-of-thick-blobs',
    file: 'metadata/resize.js',
    snippet: `    yield* raiseHighWater(store, highest);`,
    replacement: ``,
  },
  {
    name: 'no-page-mark',
    file: 'state/raise-marks.js',
    snippet: `return end <= store.mdPageMark ? ENDED : raiseMdPageMarkTo(store, end);`,
    replacement: `store.mdPageMark = Math.max(store.mdPageMark, end);
    return ENDED;`,
  },
  {
    name: 'page-mark-below-used-pages',
    file: 'store/load.js',
    snippet: `store.mdPageMarkMin = Math.max(pages.lengthUsed(), contentEnd);`,
    replacement: ``,
  },
  {
    name: 'recovery-does-not-clear',
    file: 'store/end-recovery.js',
    snippet: `        yield* clearLeftovers(store, found);`,
    replacement: `        ;`,
  },
  {
    name: 'recovery-writes-marks-first',
    file: 'store/end-recovery.js',
    snippet: `    if (keepsHighWater && !found.isDoubtful)`,
    replacement: `    yield* writeUsed(store, block, found);
    if (keepsHighWater && !found.isDoubtful)`,
  },
  {
    name: 'clean-before-masks',
    file: 'store/unload.js',
    snippet: `        yield* writeMasks(store, block);
        yield* store.barrierAtOnce();
        block.clean = 1;
        yield* writeSuper(store, block);`,
    replacement: `        block.clean = 1;
        yield* writeSuper(store, block);
        yield* writeMasks(store, block);
        yield* store.barrier();`,
  },
  {
    name: 'grow-super-block-first',
    file: 'store/grow.js',
    snippet: `    yield* wait(channel.read(bytes, 0, mask.start * blocksPerPage, mask.count * blocksPerPage));`,
    replacement: `    block.sizeBytes = deviceBytes;
    block.seal();
    yield* wait(channel.write(block.bytes, 0, 0, blocksPerPage));
    yield* wait(barrier());
    yield* wait(channel.read(bytes, 0, mask.start * blocksPerPage, mask.count * blocksPerPage));`,
  },
  {
    name: 'super-updates-overlap',
    file: 'state/super-block-io.js',
    snippet: `    yield* store.superUpdates.alone(function* () {
        const block = yield* readSuper(store);
        if (change(block))
            yield* writeSuper(store, block);
    });`,
    replacement: `    const block = yield* readSuper(store);
    if (change(block))
        yield* writeSuper(store, block);`,
  },
  {
    name: 'loads-overlap',
    file: 'metadata/open-close.js',
    snippet: `    store.loading.set(page, loading);`,
    replacement: ``,
  },
];

/**
 * Faults of the insertion log. They show after a kill, or after a power cut if the log is used though it is not valid.
 */
const LOG: readonly Omit<Mutation, 'caughtBy'>[] = [
  {
    name: 'insertion-not-noted',
    file: 'metadata/insert-cluster.js',
    snippet: 'if (yield* noteInsertions(store, insertionLog, blob, insertions, page))',
    replacement: '',
  },
  {
    name: 'noted-past-the-end-on-disk',
    file: 'metadata/note-insertions.js',
    snippet: 'if (insertions.some(({ index }) => index >= countedOnDisk))',
    replacement: 'if (false)',
  },
  {
    name: 'noted-forgotten-before-root',
    file: 'metadata/decide.js',
    snippet: 'const noted = store.insertionLog?.seal(blob.page) ?? NO_RECORDS;',
    replacement: `const noted = store.insertionLog?.seal(blob.page) ?? NO_RECORDS;
    store.insertionLog?.retire(noted);`,
  },
  {
    name: 'noted-not-erased',
    file: 'metadata/clearing.js',
    snippet: 'return store.insertionLog?.erase(blob.page) ?? ENDED;',
    replacement: 'return ENDED;',
  },
  {
    name: 'snapshot-of-noted',
    file: 'metadata/snapshot.js',
    snippet: 'if (store.insertionLog?.has(original.page))',
    replacement: 'if (false)',
  },
  {
    name: 'oldest-noted-wins',
    file: 'state/insertion-log.js',
    snippet: 'b.order - a.order',
    replacement: 'a.order - b.order',
  },
  {
    name: 'log-of-another-cache',
    file: 'format/insertion-page.js',
    snippet: 'if (bytes[OWNER_AT + at] !== owner[at])',
    replacement: 'if (false)',
  },
  {
    name: 'log-erased-before-noted',
    file: 'store/end-recovery.js',
    snippet: 'if (hasNoted)\n        yield* setBlobsRight(store, found, onBlob);',
    replacement:
      'if (hasNoted) {\n        yield* writeUsed(store, block, found);\n        yield* setBlobsRight(store, found, onBlob);\n    }',
  },
];

/**
 * Seeds that find the faults, by name. No seed has found the faults that are missing here yet: either they show rarely,
 * or another barrier has the same effect.
 */
const CAUGHT_BY: Readonly<Record<string, number>> = {
  'persist-data-barrier': 525,
  'persist-extent-pages-barrier': 3,
  'persist-root-barrier': 13,
  'persist-map-barrier': 650,
  'create-barrier': 50,
  'removal-mark-barrier': 56,
  'named-page-taken-for-new': 1412,
  'flush-serves-later-writes': 1,
  'flush-in-flight-serves': 13,
  'super-block-barrier': 5,
  'delete-root-barrier': 54,
  'high-water-dirty-mark': 13,
  'high-water-barrier': 4125,
  'unload-masks-barrier': 105,
  'grow-mask-barrier': 3006,
  'init-clearing-barrier': 226,
  'init-super-block-barrier': 652,
  'flush-device': 10,
  'root-before-extent-pages': 13,
  'root-before-chain': 161,
  'changed-chain-not-written': 39,
  'clusters-cleared-before-root': 30,
  'chain-zeroed-before-root': 247,
  'cut-off-by-size-in-memory': 89,
  'delete-without-dirty-mark': 222,
  'delete-clears-before-root': 13,
  'snapshot-not-persisted-before-original': 2,
  'snapshot-without-mark': 1,
  'adoption-without-mark': 18,
  'snapshot-deleted-before-adoption': 18,
  'no-high-water-mark': 548,
  'no-page-mark': 7,
  'page-mark-below-used-pages': 39,
  'recovery-does-not-clear': 5,
  'recovery-writes-marks-first': 3006,
  'clean-before-masks': 105,
  'grow-super-block-first': 39,
  'super-updates-overlap': 34,
  'loads-overlap': 37,
  'insertion-not-noted': 51,
  'noted-not-erased': 96,
  'snapshot-of-noted': 42,
  'log-of-another-cache': 74,
  'log-erased-before-noted': 1396,
};

export const MUTATIONS: readonly Mutation[] = [...BARRIERS, ...ORDERS, ...LOG].map((mutation) => ({
  ...mutation,
  caughtBy: CAUGHT_BY[mutation.name],
}));
