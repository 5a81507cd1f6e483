/** Allocates clusters from the shared pool, each under the used lock, until half of them are allocated. */

import { NONE_U32, SharedStore } from '@blobyard/core';
import type { Benchmark, Scale, Side, Workload } from '../benchmark.js';
import { sized } from '../fixtures.js';
import { fold } from '../random.js';

const CLUSTERS = 65536;
const CLUSTERS_SMOKE = 1024;

export const BIT_POOL: Benchmark = {
  name: 'bit-pool-allocate',
  operation: 'lowest free cluster of the shared pool, under the used lock',
  baseline: 'bare search, no lock',
  prepare,
};

function prepare(scale: Scale): Workload {
  const clusterCount = sized(scale, CLUSTERS, CLUSTERS_SMOKE);
  const taken = clusterCount / 2;
  return {
    operationsPerCall: taken,
    subject: poolSide(clusterCount, taken),
    baseline: bareSide(clusterCount, taken),
    sidesAgree: true,
  };
}

function poolSide(clusterCount: number, taken: number): Side {
  const shared = SharedStore.create({ clusterCount, clusterCountMax: clusterCount, mdPageCount: 64 }, 0);
  const { clusters } = shared;
  const take = () => clusters.allocate();
  const run = () => {
    let sum = 0;
    for (let count = 0; count < taken; count++) sum = fold(sum, shared.locked(take));
    return sum;
  };
  const after = () => {
    shared.locked(() => {
      for (let cluster = 0; cluster < taken; cluster++) clusters.free(cluster);
    });
  };
  return { run, after };
}

/** The minimal code that finds the lowest clear bit and sets it. */
function bareSide(clusterCount: number, taken: number): Side {
  const words = new Int32Array(clusterCount / 32);
  let lowest = 0;
  const allocate = () => {
    for (let at = lowest >>> 5; at < words.length; at++) {
      const clear = ~words[at];
      if (clear === 0) continue;
      const bit = 31 - Math.clz32(clear & -clear);
      words[at] |= 1 << bit;
      lowest = at * 32 + bit + 1;
      return at * 32 + bit;
    }
    return NONE_U32;
  };
  const run = () => {
    let sum = 0;
    for (let count = 0; count < taken; count++) sum = fold(sum, allocate());
    return sum;
  };
  const after = () => {
    words.fill(0);
    lowest = 0;
  };
  return { run, after };
}
