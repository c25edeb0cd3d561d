import { assert, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkLength,
  countTargets,
  randomStep,
  sampleBatches,
  wholeBatches,
  type Batch,
} from '../../src/data/batches.ts';
import { inMemory, splitTokens } from '../../src/data/token-source.ts';
import { failure } from '../fixtures/failure.ts';

const ids = Uint16Array.from({ length: 103 }, (_, i) => i);
const source = { length: ids.length, slice: (a: number, b: number) => ids.subarray(a, b) };
const shape = { B: 3, T: 8 };

describe('random batches', () => {
  const at = (seed: number, step: number, { B = 3, microBatches = 1 } = {}) =>
    randomStep(source, { B, T: 8 }, { seed, step, microBatches }).batches;

  test('are windows of the text, with targets one token ahead', () => {
    for (const { inputs, targets } of at(1, 0)) {
      for (let b = 0; b < 3; b++)
        for (let t = 0; t < 8; t++) {
          expect(inputs[b * 8 + t]).toBe(inputs[b * 8] + t);
          expect(targets[b * 8 + t]).toBe(inputs[b * 8] + t + 1);
        }
    }
  });
  test('depend on seed and step alone', () => {
    expect([...at(1, 5)]).toEqual([...at(1, 5)]);
    expect([...at(1, 5)]).not.toEqual([...at(1, 6)]);
    expect([...at(1, 5)]).not.toEqual([...at(2, 5)]);
  });
  test('reach every window, including the first and the last', () => {
    const starts = new Set<number>();
    for (let step = 0; step < 400; step++)
      for (const { inputs } of at(1, step)) for (let b = 0; b < 3; b++) starts.add(inputs[b * 8]);
    expect(starts.size).toBe(103 - 8);
  });
  test('hold the windows of one large batch in all micro-batches together', () => {
    const [whole] = at(1, 2, { B: 6 });
    const parts = [...at(1, 2, { microBatches: 2 })];
    expect(parts.flatMap(({ inputs }) => [...inputs])).toEqual([...whole.inputs]);
  });
  test('are created one at a time, so that a step may have any number of micro-batches', () => {
    const [first] = at(1, 2, { microBatches: 2 ** 30 });
    expect(first).toEqual([...at(1, 2)][0]);
  });
});

test('a step says in advance how many targets count', () => {
  const { microBatches, counted, batches } = randomStep(source, shape, { seed: 1, step: 2, microBatches: 3 });
  const counts = Array.from(batches, countTargets);
  expect(counts.length).toBe(microBatches);
  expect(counts.reduce((a, b) => a + b)).toBe(counted);
});

test('whole batches predict every token but the first exactly once', () => {
  const seen = [...wholeBatches(source, shape)].flatMap(({ inputs, targets }) =>
    [...targets].flatMap((target, i) => (target < 0 ? [] : [[inputs[i], target]])),
  );
  expect(seen).toEqual(Array.from({ length: 102 }, (_, i) => [i, i + 1]));
});

test('overlapping whole batches predict every token once, in order, with at least block − stride tokens of context', () => {
  assert(
    property(
      integer({ min: 2, max: 60 }),
      integer({ min: 1, max: 9 }),
      integer({ min: 1, max: 9 }),
      (length, T, S) => {
        const stride = Math.min(S, T);
        const short = { length, slice: (a: number, b: number) => ids.subarray(a, Math.min(b, length)) };
        let next = 1;
        for (const { inputs, targets } of wholeBatches(short, { B: 3, T }, stride))
          targets.forEach((target, i) => {
            if (target < 0) return;
            const t = i % T;
            expect([inputs[i], target]).toEqual([next - 1, next]);
            const context = inputs.subarray(i - t, i + 1);
            expect([...context]).toEqual(Array.from(context, (_, k) => next - 1 - t + k));
            expect(context.length).toBeGreaterThanOrEqual(Math.min(next, T - stride));
            next++;
          });
        expect(next).toBe(length);
      },
    ),
    { seed: 1 },
  );
});

test('an evaluation sample is spread over the text and always the same', () => {
  const sample = () =>
    [...sampleBatches(source, shape, 6)].flatMap(({ inputs }) => [0, 8, 16].map((i) => inputs[i]));
  expect(sample()).toEqual(sample());
  expect(sample()).toEqual([0, 16, 32, 48, 64, 80]);
});

test('the validation split is the end of the text', () => {
  const { train, validation } = splitTokens(source, 0.1);
  expect([train.length, validation.length]).toEqual([92, 11]);
  expect(Array.from(validation.slice(0, 2))).toEqual([92, 93]);
});

test('a text shorter than a block is refused with both numbers', () => {
  expect(() => checkLength(source, 103)).toThrow(failure('text-too-short', '103', 'blockSize', '103', '104'));
});

describe('tokens that do not count', () => {
  const counted = Uint8Array.from(ids, (id) => (id % 3 === 0 || (id > 40 && id < 60) ? 0 : 1));
  const masked = inMemory(ids, counted);
  const isMasked = ({ inputs, targets }: Batch, i: number): boolean =>
    targets[i] < 0 && counted[inputs[i] + 1] === 0;

  test('are masked targets of training, and the step knows how many others there are', () => {
    for (let step = 0; step < 20; step++) {
      const data = randomStep(masked, shape, { seed: 1, step, microBatches: 2 });
      const [batches, all] = [
        [...data.batches],
        [...randomStep(source, shape, { seed: 1, step, microBatches: 2 }).batches],
      ];
      expect(data.counted).toBe(batches.reduce((sum, batch) => sum + countTargets(batch), 0));
      batches.forEach((batch, b) => {
        expect(batch.inputs).toEqual(all[b].inputs);
        batch.targets.forEach((target, i) => {
          if (counted[all[b].targets[i]] === 1) expect(target).toBe(all[b].targets[i]);
          else expect(isMasked(batch, i)).toBe(true);
        });
      });
    }
  });

  test('are masked in epochs and in evaluations of a whole split', () => {
    const targetsOf = (batches: Iterable<Batch>): number[] =>
      [...batches].flatMap(({ targets }) => [...targets].filter((target) => target >= 0));
    const expected = [...ids].slice(1).filter((id) => counted[id] === 1);
    expect(targetsOf(wholeBatches(masked, shape))).toEqual(expected);
    const { train, validation } = splitTokens(masked, 0.3);
    expect([...targetsOf(wholeBatches(train, shape)), ...targetsOf(wholeBatches(validation, shape))]).toEqual(
      expected.filter((id) => id !== train.length),
    );
  });

  test('leave windows without a counted target out of a sample', () => {
    const batches = [...sampleBatches(masked, { B: 1, T: 8 }, 100)];
    expect(batches).toHaveLength(Math.ceil(102 / 8) - 2);
    expect(batches.every((batch) => countTargets(batch) > 0)).toBe(true);
  });
});
