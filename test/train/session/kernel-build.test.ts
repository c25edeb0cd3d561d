import { expect, test } from 'vitest';
import { buildOf, hasSameBits } from '../../../src/train/session/kernel-build.ts';

test('the build of a run depends neither on the threads nor on machine code, which is chosen by timing', () => {
  expect(buildOf('wasm revectorize, 2 threads')).toBe('wasm revectorize');
  expect(buildOf('wasm avx512, 1 thread')).toBe('wasm revectorize');
  expect(buildOf('reference float32')).toBe('reference float32');
});

test('builds with fused multiply-add have the same bits', () => {
  expect(hasSameBits('wasm relaxed', 'wasm revectorize')).toBe(true);
  expect(hasSameBits('wasm simd', 'wasm revectorize')).toBe(false);
});
