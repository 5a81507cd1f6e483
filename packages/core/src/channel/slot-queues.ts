/** Queues by the slot of a blob, first in, first out. The cost of an operation does not depend on their lengths. */

interface Link<T> {
  readonly item: T;
  next: Link<T> | undefined;
}

interface Queue<T> {
  first: Link<T>;
  last: Link<T>;
  length: number;
}

/** Single-threaded. A queue exists only while it has items. */
export class SlotQueues<T> {
  readonly #queues = new Map<number, Queue<T>>();
  #size = 0;

  /** The number of items in all queues. */
  get size(): number {
    return this.#size;
  }

  has(slot: number): boolean {
    return this.#queues.has(slot);
  }

  /** The number of items in the queue of a slot. */
  lengthOf(slot: number): number {
    return this.#queues.get(slot)?.length ?? 0;
  }

  push(slot: number, item: T): void {
    this.#size++;
    const link: Link<T> = { item, next: undefined };
    const queue = this.#queues.get(slot);
    if (queue === undefined) {
      this.#queues.set(slot, { first: link, last: link, length: 1 });
      return;
    }
    queue.last.next = link;
    queue.last = link;
    queue.length++;
  }

  /** Removes and returns the first item of a slot's queue; undefined when there is none. */
  shift(slot: number): T | undefined {
    const queue = this.#queues.get(slot);
    if (queue === undefined) return undefined;
    const { item, next } = queue.first;
    this.#size--;
    queue.length--;
    if (next === undefined) this.#queues.delete(slot);
    else queue.first = next;
    return item;
  }

  /** Removes and returns the items of all queues. */
  takeAll(): T[] {
    const items: T[] = [];
    for (const { first } of this.#queues.values()) {
      for (let link: Link<T> | undefined = first; link !== undefined; link = link.next) items.push(link.item);
    }
    this.#queues.clear();
    this.#size = 0;
    return items;
  }
}
