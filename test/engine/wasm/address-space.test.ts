import { expect, test } from 'vitest';
import {
  CACHE_LINE,
  CONTROL,
  FAILURE_BYTES,
  MAX_THREADS,
  nativeBlock,
  SCRATCH_BASE,
} from '../../../src/engine/wasm/address-space.ts';

test('the control words have room for the maximum number of threads and for a stack trace', () => {
  const eightForEach = 8 * 2 * CACHE_LINE * MAX_THREADS;
  expect(CONTROL.FLAGS + eightForEach).toBeLessThanOrEqual(CONTROL.CLAIMED);
  expect(CONTROL.CLAIMED + eightForEach).toBeLessThanOrEqual(CONTROL.NATIVE_BLOCKS);
  const end = CONTROL.FAILURE + 4 + FAILURE_BYTES;
  expect(Object.values(CONTROL).filter((at) => at > CONTROL.FAILURE && at < end)).toEqual([]);
  expect(nativeBlock(MAX_THREADS)).toBeLessThanOrEqual(SCRATCH_BASE);
});
