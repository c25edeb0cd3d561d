/**
 * The order in which the micro-batches of a step are summed up, their gradients and their losses alike.
 *
 * Floating-point addition is not associative, so the order is a part of the result. It is a binary tree over the indices
 * of the micro-batches, which depends on their number k and on nothing else:
 *
 *     sum(0 … k) = sum(0 … p) + sum(p … k), where p is the largest power of two below k
 *
 *     k = 6:   ((g0 + g1) + (g2 + g3)) + (g4 + g5)
 *
 * Each term is computed by itself, and any contiguous share of the terms is a few whole subtrees. So processes that share
 * out the micro-batches exchange at most 2·log₂ k partial sums each, whatever their share, and the result has the bits
 * that a single process computes. A left fold, ((g0 + g1) + g2) + …, would need every term on its own.
 */

/** How many partial sums wait for others before term `index` is computed: its bits that are 1. */
export function pendingBefore(index: number): number {
  let pending = 0;
  for (let rest = index; rest > 0; rest &= rest - 1) pending++;
  return pending;
}

/** The most partial sums that wait at a time while `terms` terms are computed one by one: ⌊log₂ terms⌋. */
export const mostPending = (terms: number): number => 31 - Math.clz32(terms);

/**
 * How many of the pending partial sums, the latest first, are added to term `index` once it is computed: those whose
 * subtree it completes. The sum then waits itself, or is the total after the last term.
 *
 * @param index counted from 0, of `terms`, at most 2³⁰
 */
export function additionsAfter(index: number, terms: number): number {
  const done = index + 1;
  return done === terms ? pendingBefore(index) : 31 - Math.clz32(done & -done);
}

/** Adds numbers in that order, in float64. */
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

  /** Once all terms are added. */
  get total(): number {
    return this.#pending[0] ?? 0;
  }
}
