/** Order statistics. On a noisy machine they are better than a mean, which a few disturbed calls dominate. */

export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** The quartiles of at least one value, interpolated linearly between neighbours. */
export function quartiles(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b);
  return { low: quantile(sorted, 0.25), median: quantile(sorted, 0.5), high: quantile(sorted, 0.75) };
}

export function median(values: readonly number[]): number {
  return quartiles(values).median;
}

function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.ceil(at);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}
