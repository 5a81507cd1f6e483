/** The model of a blob's metadata: the state in memory, and all states that a cut may bring back. */

import type { ModelBlob } from './model-blob.js';

export interface MetaFields {
  readonly clusters: number;
  readonly isThin: boolean;
  readonly isReadOnly: boolean;
  readonly parent: ModelBlob | undefined;
  /** The values of xattrs by name, as numbers. */
  readonly xattrs: ReadonlyMap<string, number>;
}

/** A state of metadata that a blob has, had, or may get by an operation under way. */
export interface MetaState extends MetaFields {
  /** The whole state as text, to be compared with that of the store. */
  readonly text: string;
  /** The moment from which memory has it; infinity while the operation that makes it is under way. */
  since: number;
}

export function metaText(meta: Omit<MetaFields, 'parent'>, parentUid: number | undefined): string {
  const xattrs = [...meta.xattrs].map(([name, value]) => `${name}=${value}`).sort();
  const flags = `${meta.isThin ? 'thin' : 'thick'}${meta.isReadOnly ? ' read-only' : ''}`;
  return `${meta.clusters} clusters, ${flags}, parent ${parentUid ?? 'none'}, xattrs ${xattrs.join(' ')}`;
}

export class MetaHistory {
  /** The states, oldest first. The last one that is not under way is the state in memory. */
  #states: MetaState[];

  constructor(fields: MetaFields, since: number) {
    this.#states = [stateOf(fields, since)];
  }

  /** The state in memory. */
  get current(): MetaState {
    for (let at = this.#states.length - 1; at >= 0; at--) {
      if (this.#states[at].since !== Number.POSITIVE_INFINITY) return this.#states[at];
    }
    throw new Error('a blob has no metadata');
  }

  get states(): readonly MetaState[] {
    return this.#states;
  }

  /** Adds the state that an operation, which begins now, will make. */
  propose(change: Partial<MetaFields>): MetaState {
    const state = stateOf({ ...this.current, ...change }, Number.POSITIVE_INFINITY);
    this.#states.push(state);
    return state;
  }

  withdraw(state: MetaState): void {
    this.#states = this.#states.filter((each) => each !== state);
  }

  /** Records that the disk has the state which memory had at a moment, or a later one. Older states are forgotten. */
  settle(moment: number): void {
    let first = 0;
    this.#states.forEach((state, at) => {
      if (state.since <= moment) first = at;
    });
    if (first > 0) this.#states = this.#states.slice(first);
  }

  /** Replaces all states by this one. */
  become(fields: MetaFields, since: number): void {
    this.#states = [stateOf(fields, since)];
  }
}

function stateOf(fields: MetaFields, since: number): MetaState {
  const { clusters, isThin, isReadOnly, parent, xattrs } = fields;
  return { clusters, isThin, isReadOnly, parent, xattrs, since, text: metaText(fields, parent?.uid) };
}
