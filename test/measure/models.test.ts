import { afterEach, expect, test, vi } from 'vitest';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { generationSeconds } from '../../src/measure/models.ts';
import { tinyConfig } from '../generate/tiny-model.ts';

afterEach(() => void vi.restoreAllMocks());

test('what the first pass takes longer, since it compiles kernels, is no time of generation', async () => {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const device = createReferenceBackend('float32');
  const read = device.read.bind(device);
  let reads = 0;
  device.read = (offset, into) => {
    now += reads++ === 0 ? 60_000 : 1;
    return read(offset, into);
  };
  const seconds = await generationSeconds(device, { config: tinyConfig, storageOf: () => 'f32' }, 0);
  expect(reads).toBeGreaterThan(1);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan(1);
});
