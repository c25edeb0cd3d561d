import { expect, test } from 'vitest';
import { checkAgreement } from '../../../src/train/ranks/agreement.ts';
import { failure } from '../../fixtures/failure.ts';

test('ranks whose GPUs have other tiles of subgroup matrices do not train together', () => {
  const onGpu = (tiles: string) => ({ engine: `webgpu acme, float16 GEMM${tiles}`, version: '1.0.0' });
  const check = (others: string) =>
    checkAgreement({ hosts: ['ada', 'bob'] }, onGpu(', matrix tiles 3f2a'), [onGpu(others)]);
  expect(() => check(', matrix tiles 3f2a')).not.toThrow();
  for (const others of [', matrix tiles 3f2b', '']) {
    expect(() => check(others)).toThrow(failure('engine-unavailable', 'bob', 'round differently'));
    try {
      check(others);
    } catch (error) {
      expect(error).toMatchObject({ hint: expect.stringContaining('gpu-tiles.json') });
    }
  }
});
