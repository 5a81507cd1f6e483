/** A small, unloaded store with a blob of each kind, whose bytes a test then damages. */

import { type BlobId, type CheckReport, checkStore, pageOfBlobId, runSync, SuperBlock } from '@blobyard/core';
import { CONFIGURATIONS, MIB, PER_CLUSTER, Yard } from '../peer/fixture.js';
import { DESCRIPTOR, descriptorsOf, sealPage } from '../peer/raw-page.js';

const PAGE_BYTES = 4096;
/** The offset in a metadata page of the number of the next page in its chain, in bytes. */
const NEXT_AT = 4088;

export class DamagedStore {
  /** Its blobs have extent tables. It also has methods that work on the unloaded device. */
  readonly yard = new Yard(CONFIGURATIONS[1]);
  readonly ids: Record<'thick' | 'thin' | 'runs' | 'long' | 'parent' | 'clone', BlobId>;
  readonly #mdStart: number;

  constructor() {
    const { yard } = this;
    const thick = yard.make({ clusterCount: 3 });
    yard.write(thick, 0, 3 * PER_CLUSTER, 1);
    const thin = yard.make({ clusterCount: 600, thin: true });
    yard.write(thin, 0, 1, 2);
    yard.write(thin, 599 * PER_CLUSTER, 1, 3);
    const runs = yard.make({ clusterCount: 2, useExtentTable: false });
    const xattrs = { one: new Uint8Array(3000).fill(1), two: new Uint8Array(3000).fill(2) };
    const long = yard.make({ clusterCount: 1, xattrs });
    const clone = yard.make({ clusterCount: 2 });
    yard.write(clone, 0, PER_CLUSTER, 4);
    const parent = yard.snapshot(clone);
    yard.write(clone, 5, 1, 5);
    this.ids = { thick: thick.id, thin: thin.id, runs: runs.id, long: long.id, parent, clone: clone.id };
    this.#mdStart = yard.store.geometry.mdStartPage;
    yard.closeAll();
    yard.unload();
  }

  /** The number of a blob's root page. */
  root(name: keyof DamagedStore['ids']): number {
    return pageOfBlobId(this.ids[name]);
  }

  check(options?: { repair?: boolean }): CheckReport {
    return runSync(checkStore(this.yard.device, options));
  }

  /** The kinds of damage that a check finds, sorted, each once. */
  damage(): string[] {
    const { findings } = this.check();
    return [...new Set(findings.filter(({ severity }) => severity === 'damage').map(({ kind }) => kind))].sort();
  }

  page(number: number): Uint8Array {
    return this.yard.peek((this.#mdStart + number) * PAGE_BYTES, PAGE_BYTES).slice();
  }

  /** Changes a metadata page, and updates its crc unless `isSealed` is false. */
  edit(number: number, change: (view: DataView, bytes: Uint8Array) => void, isSealed = true): void {
    this.yard.poke((this.#mdStart + number) * PAGE_BYTES, (bytes) => {
      change(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes);
      if (isSealed) sealPage(bytes);
    });
  }

  /** Changes the payload of the first descriptor of a type. */
  editDescriptor(number: number, type: number, change: (payload: DataView) => void): void {
    this.edit(number, (_, bytes) => {
      const found = descriptorsOf(bytes).find((descriptor) => descriptor.type === type);
      if (!found) throw new Error(`page ${number} has no descriptor of type ${type}`);
      change(found.payload);
    });
  }

  link(number: number, next: number): void {
    this.edit(number, (view) => view.setUint32(NEXT_AT, next, true));
  }

  next(number: number): number {
    const bytes = this.page(number);
    return new DataView(bytes.buffer).getUint32(NEXT_AT, true);
  }

  /** The page numbers of a blob's extent pages, in order; 0 where the table has a run of missing pages. */
  extentPages(name: keyof DamagedStore['ids']): number[] {
    const table = descriptorsOf(this.page(this.root(name))).find(({ type }) => type === DESCRIPTOR.EXTENT_TABLE);
    if (!table) throw new Error(`${name} has no extent table`);
    const pages: number[] = [];
    for (let at = 8; at < table.payload.byteLength; at += 8) pages.push(table.payload.getUint32(at, true));
    return pages;
  }

  /** The bytes of a blob's clusters, and the numbers of these clusters. The blob must have one extent page. */
  dataOf(name: keyof DamagedStore['ids']): { clusters: number[]; bytes: Buffer } {
    const [extents] = descriptorsOf(this.page(this.extentPages(name)[0]));
    const clusters: number[] = [];
    for (let at = 4; at < extents.payload.byteLength; at += 4) clusters.push(extents.payload.getUint32(at, true));
    return { clusters, bytes: this.dataAt({ clusters }) };
  }

  dataAt({ clusters }: { clusters: readonly number[] }): Buffer {
    return Buffer.concat(clusters.map((cluster) => this.yard.peek(cluster * MIB, MIB)));
  }

  /** Changes the super block, and updates its crc unless `isSealed` is false. */
  editSuper(change: (block: SuperBlock, bytes: Uint8Array) => void, isSealed = true): void {
    this.yard.poke(0, (bytes) => {
      const block = new SuperBlock(bytes);
      change(block, bytes);
      if (isSealed) sealPage(bytes);
    });
  }

  /** Changes the bits of one of the masks. */
  editMask(
    range: 'pageMask' | 'clusterMask' | 'blobIdMask',
    change: (bits: Uint8Array, bytes: Uint8Array) => void,
  ): void {
    let start = 0;
    this.editSuper((block) => {
      start = block[range].start;
    });
    this.yard.poke(start * PAGE_BYTES, (bytes) => change(bytes.subarray(5), bytes));
  }
}
