/** A repair corrects what it can, leaves the rest unchanged, and reports which is which. */

import { createHash } from 'node:crypto';
import { type BlobId, Blobstore, BlobstoreError, runSync } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { PER_CLUSTER } from '../peer/fixture.js';
import { CASES } from './cases.js';
import { DamagedStore } from './damaged-store.js';

/** A hash of the data of each blob; or the reason why the blob cannot be read. */
function contents(store: DamagedStore): Map<BlobId, string> {
  const { yard } = store;
  const loaded = runSync(Blobstore.load(yard.device, { onDamage: 'set-aside' }));
  const channel = loaded.openChannel();
  const read = (id: BlobId) => {
    const blob = runSync(loaded.openBlob(id));
    const hash = createHash('sha256');
    for (let unit = 0; unit < loaded.ioUnitCount(blob); unit += PER_CLUSTER) {
      if (loaded.nextAllocated(blob, unit) !== unit && !blob.isClone) continue; // a hole, which reads as zeroes
      const bytes = Buffer.alloc(PER_CLUSTER * loaded.geometry.ioUnitBytes);
      channel.readSync(blob, bytes, unit, PER_CLUSTER);
      hash.update(`${unit} `).update(bytes);
    }
    runSync(loaded.closeBlob(blob));
    return hash.digest('hex');
  };
  const found = new Map<BlobId, string>();
  for (const id of Object.values(store.ids)) {
    try {
      found.set(id, read(id));
    } catch (error) {
      if (!(error instanceof BlobstoreError)) throw error;
      found.set(id, error.code);
    }
  }
  runSync(loaded.abandon());
  return found;
}

describe('repair', () => {
  const before = contents(new DamagedStore());

  it.each(CASES.map((each) => [each.name, each] as const))('of %s', (_, { damage, isRepaired }) => {
    const store = new DamagedStore();
    damage(store);
    const found = store.check().findings.filter(({ severity }) => severity === 'damage');
    const report = store.check({ repair: true });
    expect(report.outcome).toBe(isRepaired ? 'repaired' : 'left');
    expect(report.findings.filter(({ outcome }) => outcome !== 'found').length).toBeGreaterThanOrEqual(found.length);

    const left = report.findings.filter(({ severity, outcome }) => severity === 'damage' && outcome === 'left');
    const again = store.check();
    const kindsOf = (findings: typeof left) => findings.map(({ kind, message }) => `${kind} ${message}`).sort();
    expect(kindsOf(again.findings.filter(({ severity }) => severity === 'damage'))).toEqual(kindsOf(left));

    const after = contents(store);
    for (const [id, content] of after) {
      const isSetAside = left.length > 0 && content.length < 10;
      if (!isSetAside) expect(content === before.get(id), `blob ${id} reads as before`).toBe(true);
    }
    if (isRepaired) expect(again.findings).toEqual([]);
  });

  it('leaves the rest unchanged when it is repeated', () => {
    for (const { damage } of CASES.filter((each) => !each.isRepaired)) {
      const store = new DamagedStore();
      damage(store);
      store.check({ repair: true });
      const image = Buffer.from(store.yard.memory.bytes());
      expect(store.check({ repair: true }).outcome).toBe('left');
      expect(Buffer.from(store.yard.memory.bytes()).equals(image)).toBe(true);
    }
  });

  it('never frees the clusters of a blob that cannot be read', () => {
    for (const { damage } of CASES.filter((each) => !each.isRepaired)) {
      const store = new DamagedStore();
      const owned = store.dataOf('thick');
      damage(store);
      store.check({ repair: true });
      const { yard } = store;
      const loaded = runSync(Blobstore.load(yard.device, { onDamage: 'set-aside' }));
      const channel = loaded.openChannel();
      const filler = runSync(loaded.openBlob(runSync(loaded.createBlob({ clusterCount: loaded.freeClusterCount }))));
      const units = loaded.ioUnitCount(filler);
      channel.writeSync(filler, Buffer.alloc(units * loaded.geometry.ioUnitBytes, 0xee), 0, units);
      runSync(loaded.abandon());
      expect(store.dataAt(owned).equals(owned.bytes)).toBe(true);
    }
  });
});
