/** Counts operations under way. `whenZero` resolves when there are none. */
export class Count {
  #count = 0;
  #onZero: (() => void)[] = [];

  add(): void {
    this.#count++;
  }

  remove(): void {
    this.#count--;
    if (this.#count === 0) for (const resolve of this.#onZero.splice(0)) resolve();
  }

  async whenZero(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#onZero.push(resolve));
  }
}
