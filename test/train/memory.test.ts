import { describe, expect, test } from 'vitest';
import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { checkMemory, memoryLimit, memoryLimits, memoryNeed } from '../../src/train/memory.ts';
import { trainingPrograms, type TrainingShape } from '../../src/train/programs.ts';
import { failure } from '../fixtures/failure.ts';

const config: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 65,
  blockSize: 64,
  nLayer: 2,
  nHead: 2,
  nEmbd: 32,
  dropout: 0,
};
const shape: TrainingShape = { config, batchSize: 16, microBatches: 2, optimizer: 'adamw' };
const needs = (change: Partial<TrainingShape> = {}): number =>
  4 * trainingPrograms({ ...shape, ...change }).end;

function hintFor(bytes: number, of: TrainingShape = shape): string | undefined {
  try {
    checkMemory(of, memoryNeed(of, trainingPrograms(of)), [
      { bytes, who: 'this computer has', of: 'process' },
    ]);
  } catch (error) {
    return (error as { hint: string }).hint;
  }
  return undefined;
}

describe('a run that does not fit in memory is refused, with a suggestion that fits', () => {
  test('a run that fits is not refused', () => {
    expect(hintFor(needs())).toBeUndefined();
  });
  test('smaller micro-batches with the same tokens per step are suggested first', () => {
    const bytes = needs({ batchSize: 4, microBatches: 8 });
    expect(hintFor(bytes)).toMatch(
      /^try batchSize: 4, gradientAccumulationSteps: 8, which needs [\d.]+ (MB|GB)$/,
    );
    expect(hintFor(bytes - 1)).toMatch(/^try batchSize: 2, gradientAccumulationSteps: 16,/);
  });
  test('a shorter context where a single sequence is too large', () => {
    const bytes = needs({ batchSize: 1, microBatches: 2, config: { ...config, blockSize: 32 } });
    expect(hintFor(bytes)).toMatch(/^try batchSize: 1, blockSize: 32, which needs/);
  });
  test('a smaller model where no context length fits', () => {
    expect(hintFor(1000)).toMatch(/smaller model.*loraRank/);
    const lora = {
      rank: 4,
      alpha: 8,
      dropout: 0,
      targets: ['c_attn'],
      isRankStabilized: false,
      base: { path: 'base' },
    };
    expect(hintFor(1000, { ...shape, config: { ...config, lora } })).toMatch(/smaller base.*lower loraRank/);
  });
  test('the message names the size needed, the limit, and whose limit it is', () => {
    const limits = [{ bytes: 4.2e9, who: 'the engine can address', of: 'engine' }] as const;
    expect(() => checkMemory(shape, { engine: 5e9, transfers: 0 }, limits)).toThrow(
      failure('out-of-memory', '5.00', 'the engine can address 4.20'),
    );
  });
  test('on a GPU, the CPU is another way out', () => {
    const limits = [{ bytes: 1e9, who: 'the GPU allows', of: 'engine', isGpu: true }] as const;
    expect(() => checkMemory(shape, { engine: 5e9, transfers: 0 }, limits)).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/^try batchSize: .*; or use device: "cpu"$/) }),
    );
  });
  test('what a rank sends and receives counts for the computer, not for the engine', () => {
    const need = { engine: 4e9, transfers: 1e9 };
    const of = (kind: 'engine' | 'process') => [{ bytes: 4.2e9, who: 'it has', of: kind }];
    expect(() => checkMemory(shape, need, of('engine'))).not.toThrow();
    expect(() => checkMemory(shape, need, of('process'))).toThrow(failure('out-of-memory', '5.00', '4.20'));
  });
  test('a rank has room for its gradients, for the sums it receives, and for parameters on their way', () => {
    const divided = { ...shape, microBatches: 4, ranks: { rank: 1, size: 4 } };
    const programs = trainingPrograms(divided);
    const owned = programs.buckets
      .flatMap(({ slices }) => slices)
      .filter(({ owner }) => owner === 1)
      .reduce((sum, { start, end }) => sum + end - start, 0);
    const { transfers } = memoryNeed(divided, programs);
    expect(transfers).toBe(4 * (programs.gradients.length + 4 * owned + 2 ** 22));
    expect(memoryNeed(shape, trainingPrograms(shape)).transfers).toBe(0);
  });
  test('a replica adds up the gradients of its share of a step only', () => {
    const replicas = { rank: 0, size: 4 };
    const alone = { replicas: { rank: 0, size: 1 } };
    expect(needs({ microBatches: 16, replicas })).toBe(needs({ microBatches: 4, ...alone }));
    const whole = { ...shape, microBatches: 16, replicas };
    const small = { ...whole, batchSize: 4, microBatches: 64 };
    const { engine, transfers } = memoryNeed(small, trainingPrograms(small));
    expect(engine).toBe(needs({ batchSize: 4, microBatches: 16, ...alone }));
    expect(hintFor(engine + transfers, whole)).toMatch(/^try batchSize: 4, gradientAccumulationSteps: 64,/);
  });
  test('ranks on one computer share its memory', () => {
    const [, whole] = memoryLimits(1);
    const [, shared] = memoryLimits(1, 4);
    expect(shared.bytes).toBe(whole.bytes / 4);
    expect(() => checkMemory(shape, { engine: 2 ** 60, transfers: 0 }, [shared])).toThrow(
      'each of the 4 ranks on this computer has',
    );
  });
});

test('the limit is at most what 32-bit addresses reach, less the working memory of the threads', () => {
  const one = memoryLimit(1).bytes;
  expect(one).toBeLessThan(2 ** 32);
  expect(memoryLimit(64).bytes).toBeLessThanOrEqual(one);
  expect(memoryLimit(64).bytes).toBeGreaterThan(2 ** 20);
});
