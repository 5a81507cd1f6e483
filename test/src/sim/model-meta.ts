/** What is known of a blob's metadata: what memory has, and each state that a cut may bring back. */

import type { ModelBlob } from './model-blob.js';

export interface MetaFields {
  readonly clusters: number;
  readonly isThin: boolean;
  readonly isReadOnly: boolean;
  readonly parent: ModelBlob | undefined;
  /** Values by name, as numbers. */
  readonly xattrs: ReadonlyMap<string, number>;
}

/** Metadata that a blob has, had, or is about to have. */
export interface MetaState extends MetaFields {
  /** All of it, to be compared with what a store says. */
  readonly text: string;
  /** When memory came to have it; Infinity as long as the operation that brings it is under way. */
  since: number;
}

export function metaText(meta: Omit<MetaFields, 'parent'>, parentUid: number | undefined): string {
  const xattrs = [...meta.xattrs].map(([name, value]) => `${name}=${value}`).sort();
  const flags = `${meta.isThin ? 'thin' : 'thick'}${meta.isReadOnly ? ' read-only' : ''}`;
  return `${meta.clusters} clusters, ${flags}, parent ${parentUid ?? 'none'}, xattrs ${xattrs.join(' ')}`;
}

export class MetaHistory {
  /** Oldest first; the last that is not under way is what memory has. */
  #states: MetaState[];

  constructor(fields: MetaFields, since: number) {
    this.#states = [stateOf(fields, since)];
  }

  /** What memory has. */
  get current(): MetaState {
    for (let at = this.#states.length - 1; at >= 0; at--) {
      if (this.#states[at].since !== Number.POSITIVE_INFINITY) return this.#states[at];
    }
    throw new Error('a blob has no metadata');
  }

  get states(): readonly MetaState[] {
    return this.#states;
  }

  /** What an operation that begins is about to bring. */
  propose(change: Partial<MetaFields>): MetaState {
    const state = stateOf({ ...this.current, ...change }, Number.POSITIVE_INFINITY);
    this.#states.push(state);
    return state;
  }

  withdraw(state: MetaState): void {
    this.#states = this.#states.filter((each) => each !== state);
  }

  /** The disk has what memory had at a moment, or something later. */
  settle(moment: number): void {
    let first = 0;
    this.#states.forEach((state, at) => {
      if (state.since <= moment) first = at;
    });
    if (first > 0) this.#states = this.#states.slice(first);
  }

  /** Nothing but this is known any more. */
  become(fields: MetaFields, since: number): void {
    this.#states = [stateOf(fields, since)];
  }
}

function stateOf(fields: MetaFields, since: number): MetaState {
  const { clusters, isThin, isReadOnly, parent, xattrs } = fields;
  return { clusters, isThin, isReadOnly, parent, xattrs, since, text: metaText(fields, parent?.uid) };
}
