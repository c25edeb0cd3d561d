import { expect, test } from 'vitest';
import {
  CONTROL,
  engineStart,
  nativeBlock,
  PAGE,
  programsStart,
} from '../../../src/engine/wasm/address-space.ts';
import type { Instruction } from '../../../src/engine/instruction.ts';
import { blockOffset, type BlockField } from '../../../src/engine/native/argument-block.ts';
import { instantiate, readModule } from '../../../src/engine/wasm/builds.ts';
import { encode } from '../../../src/engine/wasm/encode.ts';

test('once switched on, GEMM calls the macro-kernel with a block that says what to multiply', () => {
  const pages = engineStart(1) / PAGE + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const calls: number[] = [];
  const kernels = instantiate(readModule('revectorize'), memory, {
    multiplyPanels: (thread) => calls.push(thread),
  });
  const [M, N, K] = [20, 33, 5];
  const gemm: Instruction = {
    kernel: 'gemm',
    label: 'product',
    args: {
      a: { offset: 0, length: M * K },
      b: { offset: 128, length: K * N },
      bias: { offset: 320, length: N },
      c: { offset: 384, length: M * N, accumulate: true },
      M,
      N,
      K,
      transA: 0,
      transB: 0,
    },
  };
  const { words } = encode([gemm], programsStart(1), engineStart(1));
  new Int32Array(memory.buffer, programsStart(1)).set(words);
  const run = (): void => kernels.run(programsStart(1), programsStart(1) + 4 * words.length, 1, 0, 0);

  run();
  expect(calls).toEqual([]);

  new Int32Array(memory.buffer)[CONTROL.USE_NATIVE / 4] = 1;
  run();
  expect(calls).toEqual([0]);
  const block = new DataView(memory.buffer, nativeBlock(0));
  const field = (name: BlockField): number => block.getUint32(blockOffset(name), true);
  expect({ c: field('c'), bias: field('bias'), strideC: field('strideC') }).toEqual({
    c: engineStart(1) + 4 * 384,
    bias: engineStart(1) + 4 * 320,
    strideC: 4 * N,
  });
  expect({ rows: field('rows'), columns: field('columns'), k: field('k') }).toEqual({
    rows: M,
    columns: N,
    k: K,
  });
  expect(field('accumulate')).toBe(1);
});
