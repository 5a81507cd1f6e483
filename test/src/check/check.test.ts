/** A check finds each kind of damage. The tests make the damage on an undamaged disk. */

import { checkStore, INVALID_BLOB_ID, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { DESCRIPTOR } from '../peer/raw-page.js';
import { CASES } from './cases.js';
import { DamagedStore } from './damaged-store.js';

describe('check', () => {
  it('finds nothing wrong with an undamaged store', () => {
    const { outcome, findings, summary } = new DamagedStore().check();
    expect(findings).toEqual([]);
    expect(outcome).toBe('clean');
    expect(summary).toMatchObject({ blobCount: 6, usedClusters: 3 + 2 + 2 + 1 + 2 + 1, wasClean: true });
  });

  it.each(CASES.map((each) => [each.name, each] as const))('finds %s', (_, { damage, kinds }) => {
    const store = new DamagedStore();
    damage(store);
    const before = imageOf(store);
    expect(store.damage()).toEqual(kinds);
    const report = store.check();
    expect(report.outcome).toBe('left');
    for (const { message } of report.findings) expect(message).toMatch(/^\S.*[^.]$/);
    expect(imageOf(store).equals(before), 'a check without repair writes nothing').toBe(true);
  });
});

describe('a check reports a super block that describes no usable store:', () => {
  it.each([
    ['a wrong crc', (at: DamagedStore) => at.editSuper((_, bytes) => bytes.fill(9, 200, 201), false), 'crc'],
    ['a size past the device', (at: DamagedStore) => at.editSuper((block) => (block.sizeBytes *= 2)), 'cut'],
    ['clusters of no bytes', (at: DamagedStore) => at.editSuper((block) => (block.clusterBytes = 0)), 'clusters'],
    [
      'masks on the metadata',
      (at: DamagedStore) => at.editSuper((block) => (block.pageMask = block.metadata)),
      'lies where',
    ],
    [
      'a mask in data',
      (at: DamagedStore) => at.editSuper((block) => (block.blobIdMask = { start: 60 * 256, count: 1 })),
      'data begins',
    ],
    ['no metadata', (at: DamagedStore) => at.editSuper((block) => (block.metadata = { start: 4, count: 0 })), 'region'],
  ])('%s', (_, damage, said) => {
    const store = new DamagedStore();
    damage(store);
    for (const repair of [false, true]) {
      const { outcome, findings, summary } = store.check({ repair });
      expect([outcome, summary]).toEqual(['left', undefined]);
      expect(findings.map(({ kind, severity }) => [kind, severity])).toEqual([['super-block', 'damage']]);
      expect(findings[0].message).toContain(said);
    }
  });
});

describe('a check reports as unchecked, and not as damaged,', () => {
  it.each([
    ['no signature', (at: DamagedStore) => at.editSuper((_, bytes) => bytes.fill(0, 0, 8)), 'no-store'],
    ['a newer version', (at: DamagedStore) => at.editSuper((_, bytes) => bytes.fill(4, 8, 9)), 'unsupported'],
  ])('%s', (_, change, kind) => {
    const store = new DamagedStore();
    change(store);
    const before = imageOf(store);
    for (const repair of [false, true]) {
      const { outcome, findings, summary } = store.check({ repair });
      expect([outcome, summary]).toEqual(['unchecked', undefined]);
      expect(findings.map((finding) => [finding.kind, finding.severity])).toEqual([[kind, 'note']]);
    }
    expect(imageOf(store).equals(before)).toBe(true);
  });

  it('a device that is smaller than a super block', () => {
    const device = new SparseMemoryDevice({ sizeBytes: 2048, blockLengthBytes: 512 });
    const { outcome, findings } = runSync(checkStore(device));
    expect([outcome, ...findings.map(({ kind }) => kind)]).toEqual(['unchecked', 'no-store']);
  });
});

describe('a check reports as a note, and not as damage,', () => {
  it('a store that was not closed', () => {
    const store = new DamagedStore();
    store.editSuper((block) => (block.clean = 0));
    const { outcome, findings, summary } = store.check();
    expect(outcome).toBe('clean');
    expect(findings.map(({ kind, severity }) => [kind, severity])).toEqual([['not-closed', 'note']]);
    expect(summary?.wasClean).toBe(false);
  });

  it('random bytes in a free page', () => {
    const store = new DamagedStore();
    store.edit(50, (_, bytes) => bytes.fill(0xab), false);
    expect(store.check()).toMatchObject({ outcome: 'clean', findings: [{ kind: 'page', severity: 'note', page: 50 }] });
    store.editSuper((block) => (block.clean = 0));
    expect(store.damage(), 'nobody knows that it is free').toEqual(['page']);
  });

  it.each([
    ['flags', (at: DamagedStore) => at.editDescriptor(at.root('thick'), DESCRIPTOR.FLAGS, (v) => v.setUint8(0, 0x84))],
    ['descriptor', (at: DamagedStore) => at.edit(at.root('thick'), (v) => v.setUint8(16, 9))],
  ])('a blob of a newer version, by its %s', (kind, change) => {
    const store = new DamagedStore();
    change(store);
    const { outcome, findings } = store.check();
    expect(outcome).toBe('clean');
    expect(findings).toContainEqual(expect.objectContaining({ kind, severity: 'note', blobId: store.ids.thick }));
  });

  it('a device that is larger than the store', () => {
    const store = new DamagedStore();
    store.yard.memory.resize(70 * 256);
    expect(store.check().findings.map(({ kind }) => kind)).toEqual(['larger-device']);
    expect(store.check().outcome).toBe('clean');
  });

  it('a super blob that was deleted', () => {
    const store = new DamagedStore();
    store.editSuper((block) => (block.superBlobId = (1n << 32n) + 40n));
    expect(store.check()).toMatchObject({ outcome: 'clean', findings: [{ kind: 'super-blob', severity: 'note' }] });
    store.editSuper((block) => (block.superBlobId = INVALID_BLOB_ID));
    expect(store.check().findings).toEqual([]);
  });

  it('a snapshot whose deletion was interrupted', () => {
    const seen = new Set<string>();
    for (let cut = 1; ; cut++) {
      const { yard, ids } = new DamagedStore();
      yard.load();
      yard.device.cutPowerAt(cut);
      try {
        yard.delete(ids.parent);
        break;
      } catch {
        yard.device.restorePower();
        yard.abandon();
        const { findings, outcome } = runSync(checkStore(yard.device));
        expect(outcome).toBe('clean');
        seen.add(findings.map(({ kind }) => kind).join());
      }
    }
    expect([...seen].sort()).toEqual(['', 'not-closed', 'not-closed,interrupted']);
  });
});

function imageOf(store: DamagedStore): Buffer {
  return Buffer.from(store.yard.memory.bytes());
}
