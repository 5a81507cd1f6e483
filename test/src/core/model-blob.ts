/**
 * What the model knows of a blob: its io units as tokens, and for each what a crash may bring back. The model knows no cluster
 * addresses, no pages and no order of writes; it does know which clusters are allocated, because unmapping depends on it.
 */

export interface ModelBlobFields {
  id: bigint;
  clusterCount: number;
  thin: boolean;
  readOnly: boolean;
  /** The snapshot behind it. */
  parent: ModelBlob | undefined;
  allocated: Iterable<number>;
  units: readonly number[];
}

export class ModelBlob {
  readonly id: bigint;
  readonly #unitsPerCluster: number;
  clusterCount: number;
  thin: boolean;
  readOnly: boolean;
  parent: ModelBlob | undefined;
  allocated: Set<number>;
  /** The token of each io unit. It goes on past the blob's end after shrinking, with what was there. */
  units: number[];
  xattrs = new Map<string, number>();
  /** What io units were since the last sync, and may be again after a crash; those that are not listed did not change. */
  #before = new Map<number, Set<number>>();
  /** Sizes since the last sync; a crash may bring back any. */
  #sizes: Set<number>;
  #xattrsBefore: Set<string>;

  constructor(fields: ModelBlobFields, unitsPerCluster: number) {
    this.#unitsPerCluster = unitsPerCluster;
    this.id = fields.id;
    this.clusterCount = fields.clusterCount;
    this.thin = fields.thin;
    this.readOnly = fields.readOnly;
    this.parent = fields.parent;
    this.allocated = new Set(fields.allocated);
    this.units = [...fields.units];
    this.#sizes = new Set([fields.clusterCount]);
    this.#xattrsBefore = new Set([this.xattrText]);
  }

  get unitCount(): number {
    return this.clusterCount * this.#unitsPerCluster;
  }

  /** Its size has changed since the last sync. */
  get isResized(): boolean {
    return this.#sizes.size > 1;
  }

  /** The xattrs as one text. */
  get xattrText(): string {
    return JSON.stringify([...this.xattrs].sort());
  }

  /** What an io unit reads as when its cluster is not allocated. */
  behind(unit: number): number {
    if (this.parent === undefined || unit >= this.parent.unitCount) return 0;
    return this.parent.units[unit];
  }

  /** Changes the content of an io unit. */
  set(unit: number, token: number, survivesCrash: boolean): void {
    if (survivesCrash) this.#before.delete(unit);
    else this.#remember(unit, this.units[unit]);
    this.units[unit] = token;
  }

  setXattr(name: string, token: number | undefined): void {
    if (token === undefined) this.xattrs.delete(name);
    else this.xattrs.set(name, token);
    this.#xattrsBefore.add(this.xattrText);
  }

  resize(clusterCount: number): void {
    this.clusterCount = clusterCount;
    this.#sizes.add(clusterCount);
    for (const cluster of this.allocated) if (cluster >= clusterCount) this.allocated.delete(cluster);
  }

  /** Memory and disk are the same now, and what was cut off is gone. */
  synced(): void {
    this.#before.clear();
    this.#sizes = new Set([this.clusterCount]);
    this.#xattrsBefore = new Set([this.xattrText]);
    this.units.length = this.unitCount;
  }

  /** Takes over what `clusters` and `units` of the engine say of a range that has just become part of the blob. */
  adoptGrown(from: number, clusters: readonly boolean[], units: readonly number[]): void {
    for (let cluster = from; cluster < this.clusterCount; cluster++) {
      if (clusters[cluster]) this.allocated.add(cluster);
      for (let within = 0; within < this.#unitsPerCluster; within++) {
        const unit = cluster * this.#unitsPerCluster + within;
        const before = this.units[unit]; // undefined where it never was
        const allowed = clusters[cluster] ? [before ?? 0, 0] : [this.behind(unit)];
        if (!allowed.includes(units[unit])) requireSame(`unit ${unit}`, units[unit], `one of ${allowed}`);
        if (before !== undefined) this.#remember(unit, before);
        this.#remember(unit, units[unit]);
        this.units[unit] = units[unit];
      }
    }
  }

  /** Takes over what an operation that failed half way has left: each io unit of the range is as it was or as it should be. */
  adoptPartial(first: number, wanted: readonly number[], clusters: readonly boolean[], units: readonly number[]): void {
    this.allocated = new Set(clusters.flatMap((isAllocated, cluster) => (isAllocated ? [cluster] : [])));
    wanted.forEach((token, index) => {
      const unit = first + index;
      const allowed = [this.units[unit], token];
      if (!allowed.includes(units[unit])) requireSame(`unit ${unit}`, units[unit], `one of ${allowed}`);
      this.#remember(unit, this.units[unit]);
      this.#remember(unit, token);
      this.units[unit] = units[unit];
    });
  }

  /** Takes over what the engine has after a crash, if it is one of the states that may come back. */
  adoptCrashed(clusterCount: number, clusters: readonly boolean[], units: readonly number[], xattrText: string): void {
    if (!this.#sizes.has(clusterCount)) requireSame('size after the crash', clusterCount, `one of ${[...this.#sizes]}`);
    if (!this.#xattrsBefore.has(xattrText))
      requireSame('xattrs after the crash', xattrText, [...this.#xattrsBefore].join());
    const unitsKept = Math.min(...this.#sizes) * this.#unitsPerCluster;
    units.forEach((token, unit) => {
      if (token === this.units[unit] || this.#before.get(unit)?.has(token)) return;
      if (unit >= unitsKept && token === this.behind(unit)) return;
      const allowed = [this.units[unit], ...(this.#before.get(unit) ?? [])];
      requireSame(`unit ${unit} after the crash`, token, `one of ${allowed}`);
    });
    this.clusterCount = clusterCount;
    this.allocated = new Set(clusters.flatMap((isAllocated, cluster) => (isAllocated ? [cluster] : [])));
    this.units = [...units];
    this.xattrs = new Map(JSON.parse(xattrText));
    this.synced();
  }

  #remember(unit: number, token: number): void {
    const before = this.#before.get(unit);
    if (before) before.add(token);
    else this.#before.set(unit, new Set([token]));
  }
}

/** Throws unless both are the same; a tenth of the time that `expect` takes. */
export function requireSame(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: found ${found}, wanted ${wanted}`);
}
