import { afterEach, expect, test } from 'vitest';
import { examineGpu, gpuFacts } from '../../src/cli/doctor-gpu.ts';
import { setWebGpuFolder } from '../../src/engine/webgpu-package.ts';

afterEach(() => setWebGpuFolder(undefined));

test('doctor says why there is no GPU', async () => {
  setWebGpuFolder('/nowhere');
  const found = await examineGpu(0.1, () => {});
  expect(found).toEqual({ problem: expect.stringContaining('not installed in /nowhere') });
  expect(gpuFacts(found)).toEqual([['gpu', expect.stringMatching(/^none: GPUs need the npm package/)]]);
});
