import { expect, test } from 'vitest';
import type { DivergenceCause } from '../../../src/train/events.ts';
import { freshProgress } from '../../../src/train/progress.ts';
import { divergenceError } from '../../../src/train/session/divergence-error.ts';
import { resolveOptions, type TrainModelOptions } from '../../../src/train/settings.ts';

const hint = (options: Partial<TrainModelOptions>): string | undefined => {
  const settings = resolveOptions({ corpus: ['book.txt'], ...options });
  const cause: DivergenceCause = { fault: 'evaluation not finite', tensor: 'layers.0' };
  return divergenceError('run', freshProgress, cause, settings).hint;
};

test('the hint for a diverged run has a tenth of its learning rate', () => {
  expect(hint({ learningRate: 1e-3 })).toContain('learningRate: 0.0001 or');
});

test("with Muon, it also has a tenth of the matrices' learning rate", () => {
  expect(hint({ optimizer: 'muon', learningRate: 1e-3, muonLearningRate: 0.05 })).toContain(
    'learningRate: 0.0001, muonLearningRate: 0.005 or',
  );
});
