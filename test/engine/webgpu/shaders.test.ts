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
