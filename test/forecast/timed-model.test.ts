import { beforeEach, describe, expect, test, vi } from 'vitest';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import type { OptimizerName } from '../../src/train/optimizer.ts';
import type { TimedModel } from '../../src/train/timed-training.ts';

const timed = vi.hoisted(() => [] as TimedModel[]);
vi.mock(import('../../src/train/timed-training.ts'), () => ({
  startTraining: vi.fn<() => never>(),
  measureSpeed: (model: TimedModel) => {
    timed.push(model);
    return Promise.resolve({ stepSeconds: 0.01, flopsPerSecond: 64e9 });
  },
}));

beforeEach(() => void timed.splice(0));

describe('the model that a forecast times', () => {
  test.each(['adamw', 'sgd', 'lion', 'muon'] satisfies OptimizerName[])(
    'is trained with %s',
    async (optimizer) => {
      const options = { corpus: [], nLayer: 1, nEmbd: 32, nHead: 1, maxIters: 10 };
      await forecastRun({ ...options, optimizer, labelSmoothing: 0.1, emaDecay: 0.99 }, { threads: 1 });
      expect(timed).toMatchObject([{ optimizer, labelSmoothing: 0.1, hasAverage: true }]);
    },
  );
});
