/**
 * A blob in the model: its io units as tokens, and for each the older tokens that a crash may bring back. The model has
 * no cluster addresses, no pages and no order of writes. It does have the set of allocated clusters, because unmapping
 * depends on it.
 */

export interface ModelBlobFields {
  id: bigint;
  clusterCount: number;
  thin: boolean;
  readOnly: boolean;
  /** The snapshot that it is a clone of. */
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
  /** The token of each io unit. After the blob became shorter, it still has the former tokens past the end. */
  units: number[];
  xattrs = new Map<string, number>();
  /**
   * The tokens that an io unit had since the last sync, and may have after a crash. Units not listed did not change.
   */
  #before = new Map<number, Set<number>>();
  /** The sizes since the last sync, in clusters. A crash may bring back any of them. */
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

  /** True if its size has changed since the last sync. */
  get isResized(): boolean {
    return this.#sizes.size > 1;
  }

  /** The xattrs as one text. */
  get xattrText(): string {
    return JSON.stringify([...this.xattrs].sort());
  }

  /** The token of an io unit whose cluster is not allocated: that of the parent, or zeroes. */
  behind(unit: number): number {
    if (this.parent === undefined || unit >= this.parent.unitCount) return 0;
    return this.parent.units[unit];
  }

  /** Changes the token of an io unit. `survivesCrash`: a crash cannot bring back an older token. */
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

  /** Records a sync: memory and disk are the same now, and the tokens past the end are gone. */
  synced(): void {
    this.#before.clear();
    this.#sizes = new Set([this.clusterCount]);
    this.#xattrsBefore = new Set([this.xattrText]);
    this.units.length = this.unitCount;
  }

  /**
   * Takes over the engine's state of the clusters from `from` on, by which the blob has just grown. Throws if it is not
   * one of those that are allowed.
   */
  adoptGrown(from: number, clusters: readonly boolean[], units: readonly number[]): void {
    for (let cluster = from; cluster < this.clusterCount; cluster++) {
      if (clusters[cluster]) this.allocated.add(cluster);
      for (let within = 0; within < this.#unitsPerCluster; within++) {
        const unit = cluster * this.#unitsPerCluster + within;
        const before = this.units[unit]; // undefined if the blob was never so long
        const allowed = clusters[cluster] ? [before ?? 0, 0] : [this.behind(unit)];
        if (!allowed.includes(units[unit])) requireSame(`unit ${unit}`, units[unit], `one of ${allowed}`);
        if (before !== undefined) this.#remember(unit, before);
        this.#remember(unit, units[unit]);
        this.units[unit] = units[unit];
      }
    }
  }

  /** Takes over the state after an operation that failed half way. Each io unit must have its old or its new token. */
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

  /** Takes over the engine's state after a crash. Throws if it is not one of those that a crash may bring back. */
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

/** Throws unless both values are the same. It takes a tenth of the time of `expect`. */
export function requireSame(what: string, found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${what}: found ${found}, wanted ${wanted}`);
}
