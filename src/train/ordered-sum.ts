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
