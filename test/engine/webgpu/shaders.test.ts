/** The shaders that a program consists of, as far as they can be checked without a GPU. test/webgpu/ runs them. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Buffer, Instruction } from '../../../src/engine/instruction.ts';
import { kernelCases } from '../../../src/engine/kernel-cases.ts';
import { isBuffer, type KernelName } from '../../../src/engine/signatures.ts';
import { argumentStruct, argumentWords } from '../../../src/engine/webgpu/arguments.ts';
import { workgroupsFor } from '../../../src/engine/webgpu/dispatch.ts';
import { dispatchesOf } from '../../../src/engine/webgpu/kernels.ts';
import { matrixTiles } from '../../../src/engine/webgpu/subgroup-matrices.ts';
import { STANDARD_TILES, tileColumns, tileInvocations, tileRows } from '../../../src/engine/webgpu/tiles.ts';

/** The instruction of a kernel's test case, with each buffer behind the one before. */
function instruction(kernel: KernelName, [a, b, c]: readonly number[], flag: boolean): Instruction {
  let end = 0;
  const place = (length: number): Buffer => {
    end += length;
    return { offset: end - length, length };
  };
  const args = Object.fromEntries(
    Object.entries(kernelCases[kernel](a, b, c, flag)).map(([name, value]) => [
      name,
      isBuffer(value) ? { ...place(value.length), ...(value.storage && { storage: value.storage }) } : value,
    ]),
  );
  return { kernel, args, label: '' } as unknown as Instruction;
}

const shapes = [
  [1, 1, 1],
  [7, 33, 5],
  [32, 64, 16],
  [200, 96, 17],
];
const dispatches = (kernel: KernelName) =>
  shapes.flatMap((shape) => [true, false].flatMap((flag) => dispatchesOf(instruction(kernel, shape, flag))));

describe.each(Object.keys(kernelCases) as KernelName[])('%s', (kernel) => {
  test('reads only arguments that its instruction has', () => {
    for (const { kernel: own, shader } of dispatches(kernel)) {
      const fields = [...argumentStruct(own).matchAll(/(\w+): [uf]32/g)].map(([, name]) => name);
      const used = [...shader.matchAll(/\bargs\.(\w+)/g)].map(([, name]) => name);
      expect(fields).toEqual(expect.arrayContaining(used));
      expect(shader.match(/@compute[^{]*\bfn main\(/g)).toHaveLength(1);
    }
  });

  test('has as many workgroups as any GPU allows in a dimension, and at least one', () => {
    for (const { workgroups } of dispatches(kernel))
      for (const count of typeof workgroups === 'number' ? workgroupsFor(workgroups) : workgroups) {
        expect(Number.isInteger(count)).toBe(true);
        expect(count).toBeGreaterThanOrEqual(1);
        expect(count).toBeLessThanOrEqual(65_535);
      }
  });

  test('fills its struct of arguments', () => {
    for (const { kernel: own, args } of dispatches(kernel)) {
      const fields = [...argumentStruct(own).matchAll(/: [uf]32/g)];
      expect(argumentWords(own, args, () => 0)).toHaveLength(fields.length);
    }
  });
});

describe('float16', () => {
  const matrix = (length: number, averagedOver?: number): Buffer => ({
    offset: 0,
    length,
    ...(averagedOver !== undefined && { averagedOver }),
  });
  const [M, N, K] = [300, 200, 100];
  const product = (
    changes: Partial<{ a: Buffer; b: Buffer; M: number; transB: number }> = {},
  ): Instruction => {
    const plain = { a: matrix(M * K), b: matrix(K * N), bias: null, c: matrix(M * N), M, N, K };
    return { kernel: 'gemm', label: '', args: { ...plain, transA: 0, transB: 0, ...changes } };
  };
  const inPrecision = (call: Instruction, precision: 'float32' | 'float16') =>
    dispatchesOf(call, { tiles: STANDARD_TILES, precision });
  const unit = { M: 8, N: 16, K: 16, invocations: 32 };
  const tile = matrixTiles(unit, 16_384).find((one) => tileInvocations(one) === 128)!;
  const inMatrices = (call: Instruction) =>
    dispatchesOf(call, { tiles: { ...STANDARD_TILES, small: tile }, precision: 'float16' });

  test('is enabled only in a shader that uses it, and halves the panels', () => {
    const [half] = inPrecision(product(), 'float16');
    expect(half.extensions).toEqual(['f16']);
    expect(half.shader).toContain('var<workgroup> panelA: array<vec2<f16>, 132>'); // 8 deep, 33 wide
    const [single] = inPrecision(product(), 'float32');
    expect(single.extensions).toEqual([]);
    expect(single.shader).toContain('var<workgroup> panelA: array<f32, 264>');
    expect(single.shader).not.toMatch(/f16|half/i);
    expect(single).toEqual(dispatchesOf(product())[0]);
  });

  test('is not what few rows and symmetric products are computed in', () => {
    const few = product({ M: 16, transB: 1 });
    expect(inPrecision(few, 'float16')).toEqual(inPrecision(few, 'float32'));
    const symmetric = instruction('gemmSymmetric', [200, 1, 33], true);
    expect(inPrecision(symmetric, 'float16')).toEqual(inPrecision(symmetric, 'float32'));
  });

  test.each(['a', 'b'] as const)('multiplies a gradient in %s, and divides the sum', (operand) => {
    const length = operand === 'a' ? M * K : K * N;
    const gradient = product({ [operand]: matrix(length, 3000) });
    for (const [{ shader }] of [inPrecision(gradient, 'float16'), inMatrices(gradient)]) {
      // 16 times 4096, once where an element is loaded (or two), and its inverse where it is stored
      expect(shader.match(/toHalf\(6\.5536e\+4f \* /g)!.length).toBe(shader.includes('pair') ? 2 : 1);
      expect(shader).toContain('1.52587890625e-5f * ');
      const panel = operand === 'a' ? 'panelA' : 'panelB';
      expect(shader).toMatch(new RegExp(`${panel}\\[[^=]*= (vec2\\()?toHalf\\(6`));
    }
    for (const [{ shader }] of [inPrecision(product(), 'float16'), inPrecision(gradient, 'float32')])
      expect(shader).not.toMatch(/e[+-]\d+f \*/);
  });

  test('passes the gradient of a linear layer on, also in slices', () => {
    const backward = instruction('linearParametersBackward', [600, 33, 32], false);
    const args = { ...backward.args, dY: { ...(backward.args as { dY: Buffer }).dY, averagedOver: 600 } };
    const [{ shader }, ...others] = inPrecision({ ...backward, args } as Instruction, 'float16');
    expect(shader).toMatch(/scratch\[.*= 6\.103515625e-5f \* sum/); // 1/(16·1024)
    for (const other of others) expect(other.shader).not.toContain('toHalf'); // slices and the bias
  });

  test('of subgroup matrices enables them, in whole subgroups', () => {
    const [{ extensions, allowed, shader, workgroups }] = inMatrices(product());
    expect(extensions).toEqual(['f16', 'subgroups', 'chromium_experimental_subgroup_matrix']);
    expect(allowed).toEqual(['chromium.subgroup_matrix_uniformity']);
    expect(shader).toContain('@workgroup_size(128)'); // four subgroups of 32
    expect(shader).toContain('subgroup_matrix_left<f16, 16, 8>');
    expect(shader).toContain('subgroup_matrix_right<f16, 16, 16>');
    expect(shader).toContain('subgroup_matrix_result<f32, 16, 8>');
    expect(workgroups).toEqual([Math.ceil(N / tileColumns(tile)), Math.ceil(M / tileRows(tile)), 1]);
    const fields = [...argumentStruct('gemm').matchAll(/(\w+): [uf]32/g)].map(([, name]) => name);
    expect(fields).toEqual(
      expect.arrayContaining([...shader.matchAll(/\bargs\.(\w+)/g)].map(([, name]) => name)),
    );
  });
});

test('an argument is the index of a buffer, the bits of a float, or where constants are', () => {
  const buffer = (offset: number, accumulate = false): Buffer => ({ offset, length: 6, accumulate });
  const gemm = { a: buffer(10), b: buffer(20), bias: null, c: buffer(30, true), M: 2, N: 3, K: 4 };
  const words = argumentWords('gemm', { ...gemm, transA: 0, transB: 1 }, () => 0);
  expect([...words]).toEqual([10, 20, 0xffff_ffff, 30, 1, 2, 3, 4, 0, 1, 0]);
  const scaled = argumentWords('scale', { x: buffer(1), y: buffer(2), n: 6, factor: -2 }, () => 0);
  expect([...scaled]).toEqual([1, 2, 0, 6, 0xc000_0000, 0]);
});

test('more workgroups than fit in one dimension are divided over two', () => {
  for (const count of [1, 65_535, 65_536, 1_000_003]) {
    const [x, y, z] = workgroupsFor(count);
    expect(x * y * z).toBeGreaterThanOrEqual(count);
    expect(x * y * z - count).toBeLessThan(y);
    expect(Math.max(x, y)).toBeLessThanOrEqual(65_535);
  }
});

/** Every file that a file of src/ imports for its values, directly or not. */
function importsOf(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  if (!file.endsWith('.ts')) return found;
  for (const [, path] of readFileSync(file, 'utf8').matchAll(
    /^(?:import|export) (?!type).*?from '([^']+)';$/gms,
  ))
    importsOf(path.startsWith('.') ? join(dirname(file), path) : path, found);
  return found;
}

test('the backend imports nothing that only Node has, so that a browser can run it', () => {
  const device = fileURLToPath(new URL('../../../src/engine/webgpu/device.ts', import.meta.url));
  const imports = [...importsOf(device)];
  expect(imports).toContain(join(dirname(device), 'kernels/attention.ts'));
  expect(imports.filter((file) => !file.endsWith('.ts'))).toEqual([]);
  // The check would find what the CPU's backend needs.
  const wasm = fileURLToPath(new URL('../../../src/engine/wasm.ts', import.meta.url));
  expect([...importsOf(wasm)]).toContain('node:os');
});
