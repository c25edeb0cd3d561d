import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { exportHuggingFace } from '../../src/export/export-model.ts';
import type { FolderDtype } from '../../src/export/hugging-face.ts';
import { float16Bits } from '../../src/half-precision.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { hostTensor } from '../../src/model/tensor.ts';
import { noReport } from '../../src/reporting.ts';
import { failure } from '../fixtures/failure.ts';
import { writeModel } from '../fuzz/seeds.ts';

const folder = mkdtempSync(join(tmpdir(), 'export-folder-'));
const at = (name: string): string => join(folder, name);
const source = at('source');
writeModel(source, 'word', {}, (tensors) => {
  // Halfway cases of both formats, and a subnormal of float16.
  const halfway = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24 * 1.5, -65_519.9];
  tensors.find(({ name }) => name === 'h.0.mlp.c_fc.weight')!.data.set(halfway);
});

const exported = (dtype: FolderDtype, name = dtype as string, { force = false, from = source } = {}) =>
  exportHuggingFace(openModelFolder(from), { dtype, output: at(name), force, report: noReport });

function parametersOf(model: string): Map<string, Float32Array> {
  const opened = openModelFolder(model);
  const tensors = parameterTable(opened.config).map(hostTensor);
  opened.load(tensors);
  return new Map(tensors.map(({ name, data }) => [name, data]));
}

const json = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

const f64 = (bits: number): number => {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
};
const rounded: { readonly [D in FolderDtype]: (x: number) => number } = {
  f32: (x) => x,
  f16: (x) => f64(float16Bits(x)),
  bf16: (x) => {
    if (x === 0) return x;
    const step = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
    const [down, rest] = [Math.floor(x / step), x / step - Math.floor(x / step)];
    return step * (rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down);
  },
};

describe('a folder in another precision', () => {
  test.each([
    ['f32', 'F32', 'float32'],
    ['f16', 'F16', 'float16'],
    ['bf16', 'BF16', 'bfloat16'],
  ] as const)('%s: rounded to nearest even, and read back exactly', (dtype, stored, torch) => {
    const { files, bytes } = exported(dtype);
    const weights = openSafetensors(at(`${dtype}/model.safetensors`));
    weights.close();
    expect(new Set([...weights.tensors.values()].map((tensor) => tensor.dtype))).toEqual(new Set([stored]));
    expect(bytes).toBe(readFileSync(at(`${dtype}/model.safetensors`)).length);
    expect(json(at(`${dtype}/config.json`))).toMatchObject({ torch_dtype: torch, model_type: 'gpt2' });
    expect(files.map((file) => file.slice(at(dtype).length + 1)).sort()).toEqual(
      readdirSync(at(dtype)).sort(),
    );
    const [original, read] = [parametersOf(source), parametersOf(at(dtype))];
    for (const [name, values] of original)
      expect([...read.get(name)!], name).toEqual([...values].map((x) => Math.fround(rounded[dtype](x))));
  });

  test('has the tokenizer and generation settings of the model', () => {
    exported('bf16', 'same');
    for (const file of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
      expect(readFileSync(at(`same/${file}`)), file).toEqual(readFileSync(join(source, file)));
  });

  test.each([
    ['f16', 65_520, '65504', 'bf16'],
    ['f16', -1e6, '65504', 'bf16'],
    ['bf16', 3.4e38, '3.39e38', 'f32'],
  ] as const)(
    '%s: the weight %d is refused by name, and nothing is left behind',
    (dtype, value, most, use) => {
      const from = at(`large-${value}`);
      writeModel(from, 'char', {}, (tensors) => {
        tensors.find(({ name }) => name === 'h.1.mlp.c_fc.weight')!.data[5] = value;
      });
      const before = readdirSync(folder);
      const attempt = () => exported(dtype, 'too-large', { from });
      expect(attempt).toThrow(failure('unsupported-format', 'transformer.h.1.mlp.c_fc.weight', dtype, most));
      expect(attempt).toThrow(expect.objectContaining({ hint: expect.stringContaining(use) as string }));
      expect(readdirSync(folder)).toEqual(before);
    },
  );

  test('the largest weights of each format are kept', () => {
    const from = at('largest');
    writeModel(from, 'char', {}, (tensors) => {
      tensors[0].data.set([65_519.99, -65_504]);
    });
    exported('f16', 'largest-f16', { from });
    const [name] = [...parametersOf(from).keys()];
    expect(parametersOf(at('largest-f16')).get(name)!.slice(0, 2)).toEqual(
      Float32Array.from([65_504, -65_504]),
    );
  });
});

describe('an existing folder', () => {
  test('that holds something is written into with force only, and keeps other files', () => {
    mkdirSync(at('taken'));
    writeFileSync(at('taken/notes.txt'), 'mine');
    expect(() => exported('bf16', 'taken')).toThrow(failure('output-exists', at('taken')));
    exported('f32', 'taken', { force: true });
    exported('bf16', 'taken', { force: true });
    expect(json(at('taken/config.json'))['torch_dtype']).toBe('bfloat16');
    expect(readFileSync(at('taken/notes.txt'), 'utf8')).toBe('mine');
    openModelFolder(at('taken'));
  });

  test('that is the model itself, a run or a file is refused even with force', () => {
    expect(() => exported('bf16', 'source/', { force: true })).toThrow(failure('output-exists', source));
    mkdirSync(at('run/checkpoint-3'), { recursive: true });
    writeFileSync(at('run/checkpoint-3/gpt_trainer_state.json'), '{}');
    expect(() => exported('bf16', 'run', { force: true })).toThrow(failure('output-exists', at('run')));
    writeFileSync(at('file'), 'mine');
    expect(() => exported('bf16', 'file', { force: true })).toThrow(failure('wrong-file-kind', at('file')));
    expect(existsSync(join(source, `source.${process.pid}.tmp`))).toBe(false);
  });

  test('temporary files of a killed export are removed, those of a running one and others are not', () => {
    const killed = 2 ** 22 + 1; // above the largest process id of Linux
    const names = [
      `swept.${killed}.tmp`,
      `swept.${process.ppid}.tmp`,
      'swept.old.tmp',
      `other.${killed}.tmp`,
    ];
    for (const name of names) mkdirSync(at(name));
    exported('bf16', 'swept');
    expect(names.filter((name) => existsSync(at(name)))).toEqual(names.slice(1));
  });
});
