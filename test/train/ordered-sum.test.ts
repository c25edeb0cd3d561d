import { describe, expect, test } from 'vitest';
import {
  additionsAfter,
  combineSubtrees,
  mostPending,
  OrderedSum,
  pendingBefore,
  subtreesWithin,
} from '../../src/train/ordered-sum.ts';

/** The definition: sum(from … to) of a tree that is split at the largest power of two below its size. */
function treeOf(from: number, to: number): string {
  if (to - from === 1) return `g${from}`;
  const middle = from + 2 ** Math.ceil(Math.log2(to - from) - 1);
  return `(${treeOf(from, middle)}+${treeOf(middle, to)})`;
}

/** What happens when terms are computed one by one: the expression that is left, and the most that waited. */
function simulate(terms: number): { sum: string; most: number } {
  const pending: string[] = [];
  let most = 0;
  for (let index = 0; index < terms; index++) {
    expect(pendingBefore(index)).toBe(pending.length);
    most = Math.max(most, pending.length);
    let sum = `g${index}`;
    for (let n = additionsAfter(index, terms); n > 0; n--) sum = `(${pending.pop()}+${sum})`;
    pending.push(sum);
  }
  expect(pending.length).toBe(1);
  return { sum: pending[0], most };
}

describe('the sum over micro-batches', () => {
  test.each([
    [1, 'g0'],
    [3, '((g0+g1)+g2)'],
    [4, '((g0+g1)+(g2+g3))'],
    [6, '(((g0+g1)+(g2+g3))+(g4+g5))'],
  ])('of %i is %s', (terms, tree) => {
    expect(simulate(terms).sum).toBe(tree);
  });

  test('is a binary tree over their indices, and keeps ⌊log₂ k⌋ partial sums', () => {
    for (let terms = 1; terms <= 70; terms++) {
      const { sum, most } = simulate(terms);
      expect(sum).toBe(treeOf(0, terms));
      expect(most).toBe(mostPending(terms));
    }
  });

  test('has whole subtrees for equal shares of a power of two', () => {
    for (const ranks of [2, 4, 8])
      for (let rank = 0; rank < ranks; rank++)
        expect(treeOf(0, 16)).toContain(treeOf((rank * 16) / ranks, ((rank + 1) * 16) / ranks));
  });

  test('adds numbers in this order', () => {
    const sum = new OrderedSum(4);
    for (const term of [1, 2 ** -53, 2 ** -53, 2 ** -53]) sum.add(term);
    expect(sum.total).toBe(1 + 2 ** -52); // one by one, each would be rounded away
  });

  test('is combined from the largest subtrees of any contiguous shares', () => {
    for (let terms = 1; terms <= 40; terms++)
      for (const ranks of [1, 2, 3, 4, 5, 8]) {
        const sums = new Map<number, { readonly end: number; readonly sum: string }>();
        for (let rank = 0; rank < ranks; rank++) {
          const share = {
            start: Math.floor((terms * rank) / ranks),
            end: Math.floor((terms * (rank + 1)) / ranks),
          };
          const subtrees = subtreesWithin(share, terms);
          expect(subtrees.length).toBeLessThanOrEqual(2 * Math.max(1, Math.log2(terms)));
          for (const { start, end } of subtrees) sums.set(start, { end, sum: treeOf(start, end) });
        }
        const sum = combineSubtrees(
          terms,
          ({ start, end }) => (sums.get(start)?.end === end ? sums.get(start)!.sum : undefined),
          (left, right) => `(${left}+${right})`,
        );
        expect(sum).toBe(treeOf(0, terms));
      }
  });
});
