import { expect, test, vi } from 'vitest';
import type { BackendOptions } from '../../src/engine/backend.ts';
import { runInProcess } from './in-process.ts';

const opened: (string | undefined)[] = [];
vi.mock('../../src/engine/backend.ts', async (original) => {
  const backends = await original<typeof import('../../src/engine/backend.ts')>();
  const chooseBackend = (options: BackendOptions = {}) => {
    opened.push(options.matmulPrecision);
    return backends.chooseBackend(options);
  };
  return { ...backends, chooseBackend };
});
vi.mock('../../src/train/matmul-precision.ts', () => ({ checkMatmulPrecision: () => {} })); // as with a GPU

test('gpt bench --matmul-precision trains in this precision, and samples in float32, as gpt sample does', async () => {
  const { code, stderr } = await runInProcess(
    'bench nano --seconds 0.1 --json --matmul-precision float16'.split(' '),
    '.',
  );
  expect(code, stderr).toBe(0);
  expect(opened).toEqual(['float16', 'float16', undefined]); // to name it, to train, to sample
});
