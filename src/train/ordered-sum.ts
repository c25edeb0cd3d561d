/**
 * The order in which gradients and losses of the micro-batches of a step are summed.
 *
 * Floating-point addition is not associative, so the order is part of the result. It is a binary tree over the indices of
 * the micro-batches that depends only on their number k:
 *
 *     sum(0 … k) = sum(0 … p) + sum(p … k), where p is the largest power of two below k
 *
 *     k = 6:   ((g0 + g1) + (g2 + g3)) + (g4 + g5)
 *
 * Terms are computed independently, and any contiguous range of them consists of a few whole subtrees. Processes that divide
 * the micro-batches among them therefore exchange at most 2·log₂ k partial sums each, and the result is bit-identical to that
 * of a single process. A left fold, ((g0 + g1) + g2) + …, would need every single term.
 */

/** A subtree: the terms from `start` to `end` − 1. */
export interface Subtree {
  readonly start: number;
  readonly end: number;
}

/** Where the tree over the terms of a subtree divides them. */
const splitOf = ({ start, end }: Subtree): number => start + 2 ** (31 - Math.clz32(end - start - 1));

/** The largest subtrees of the tree over `terms` terms that lie within a range, in order. */
export function subtreesWithin(range: Subtree, terms: number): Subtree[] {
  const found: Subtree[] = [];
  const visit = (node: Subtree): void => {
    if (node.end <= range.start || node.start >= range.end) return;
    if (node.start >= range.start && node.end <= range.end) return void found.push(node);
    const split = splitOf(node);
    visit({ start: node.start, end: split });
    visit({ start: split, end: node.end });
  };
  visit({ start: 0, end: terms });
  return found;
}

/** The micro-batches of a rank: as equal numbers as possible, in order. */
export const microBatchesOf = (rank: number, terms: number, ranks: number): Subtree => ({
  start: Math.floor((terms * rank) / ranks),
  end: Math.floor((terms * (rank + 1)) / ranks),
});

/** The sums that a rank sends in a step of `terms` micro-batches. */
export const subtreesOf = (rank: number, terms: number, ranks: number): Subtree[] =>
  subtreesWithin(microBatchesOf(rank, terms, ranks), terms);

/**
 * The sum of `terms` terms from the sums of subtrees that cover them.
 *
 * @param sumOf by the start of the subtree; undefined if the subtree at hand is larger than those that were summed
 */
export function combineSubtrees<T>(
  terms: number,
  sumOf: (node: Subtree) => T | undefined,
  add: (left: T, right: T) => T,
): T {
  const combine = (node: Subtree): T => {
    const sum = sumOf(node);
    if (sum !== undefined) return sum;
    const split = splitOf(node);
    const left = combine({ start: node.start, end: split });
    return add(left, combine({ start: split, end: node.end }));
  };
  return combine({ start: 0, end: terms });
}

/** Number of pending partial sums before term `index` is computed: the number of 1 bits in `index`. */
export function pendingBefore(index: number): number {
  let pending = 0;
  for (let rest = index; rest > 0; rest &= rest - 1) pending++;
  return pending;
}

/** The largest number of pending partial sums while `terms` terms are computed in order: ⌊log₂ terms⌋. */
export const mostPending = (terms: number): number => 31 - Math.clz32(terms);

/**
 * Number of pending partial sums, the latest first, to add to term `index`: those whose subtree it completes. The sum becomes
 * pending itself, or is the total after the last term.
 *
 * @param index counted from 0, of `terms`, at most 2³⁰
 */
export function additionsAfter(index: number, terms: number): number {
  const done = index + 1;
  return done === terms ? pendingBefore(index) : 31 - Math.clz32(done & -done);
}

/** Sums numbers in that order, in float64. */
export class OrderedSum {
  readonly #terms: number;
  readonly #pending: number[] = [];
  #index = 0;

  constructor(terms: number) {
    this.#terms = terms;
  }

  add(term: number): void {
    let sum = term;
    for (let n = additionsAfter(this.#index++, this.#terms); n > 0; n--) sum = this.#pending.pop()! + sum;
    this.#pending.push(sum);
  }

  /** Defined once all terms have been added. */
  get total(): number {
    return this.#pending[0] ?? 0;
  }
}
