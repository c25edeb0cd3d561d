/** Models whose weights are held in q8: decoding and evaluating use the same quantized numbers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromQ8, toQ8 } from '../../src/engine/q8.ts';
import { createWasmBackend, type WasmBackend } from '../../src/engine/wasm.ts';
import { Evaluator } from '../../src/evaluate/evaluator.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2-config.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { inQ8 } from '../../src/model/q8-weights.ts';
import type { StorageOf } from '../../src/model/placement.ts';
import { hostTensor, writeTensor, type NamedTensor, type TensorTarget } from '../../src/model/tensor.ts';
import { transpose } from '../../src/model/transposition.ts';
import { modelConfig, resolveOptions } from '../../src/train/settings.ts';
import { relativeError } from '../fixtures/golden.ts';
import { loadRandom } from '../fixtures/random-model.ts';

const llama = modelConfig(
  resolveOptions({ corpus: [], arch: 'qwen3', nLayer: 2, nHead: 4, nKvHead: 2, nEmbd: 64, blockSize: 24 }),
  70,
);
const gpt2: ModelConfig = {
  ...gpt2Defaults,
  vocabSize: 70,
  blockSize: 24,
  nLayer: 2,
  nHead: 4,
  nEmbd: 64,
  dropout: 0,
};
const text = Array.from({ length: 20 }, (_, i) => (i * 17 + 5) % 70);
const storageOf = inQ8(() => 'f32');

let backend: WasmBackend;
beforeAll(async () => {
  backend = await createWasmBackend({ threads: 2 });
});
afterAll(() => backend.close());

/** The numbers that a quantized model has. */
function quantized(config: ModelConfig): NamedTensor[] {
  const tensors = parameterTable(config).map(hostTensor);
  loadRandom(config, tensors);
  return parameterTable(config).map((parameter, i) => {
    const { data, name, shape } = tensors[i];
    if (storageOf(parameter) !== 'q8') return tensors[i];
    if (parameter.role !== 'linear weight') return { name, shape, data: fromQ8(toQ8(data)) };
    const [rows, columns] = shape;
    const [across, back] = [new Float32Array(data.length), new Float32Array(data.length)];
    transpose(data, rows, columns, across);
    transpose(fromQ8(toQ8(across)), columns, rows, back);
    return { name, shape, data: back };
  });
}

async function logitsOf(
  config: ModelConfig,
  load: (to: readonly TensorTarget[]) => void,
  storage?: StorageOf,
) {
  const decoder = Decoder.create(backend, config, load, 1, storage);
  const logits = [(await decoder.read(text.slice(0, 19))).slice()]; // a product of many rows
  logits.push((await decoder.read(text.slice(19))).slice()); // of one
  return logits;
}

test.each([
  ['gpt2', gpt2],
  ['qwen3', llama],
])('%s: as the model of the quantized numbers', async (_name, config) => {
  const tensors = new Map(quantized(config).map((tensor) => [tensor.name, tensor.data]));
  const expected = await logitsOf(config, (targets) => {
    for (const target of targets) writeTensor(target, tensors.get(target.name)!);
  });
  const stored = await logitsOf(config, (targets) => loadRandom(config, targets), storageOf);
  // Activations of a single row are rounded to 16 bits: in the second call all, in the first those of the output head.
  expect(relativeError(stored[0], expected[0])).toBeLessThan(5e-5);
  expect(relativeError(stored[1], expected[1])).toBeLessThan(2e-4);
  const unquantized = await logitsOf(config, (targets) => loadRandom(config, targets));
  expect(relativeError(stored[0], unquantized[0])).toBeGreaterThan(1e-3); // it is quantized at all

  const evaluator = new Evaluator(backend, config, { B: 1, T: text.length - 1 }, { storageOf });
  loadRandom(config, evaluator.targets());
  const { losses } = await evaluator.score({
    inputs: Int32Array.from(text.slice(0, -1)),
    targets: Int32Array.from(text.slice(1)),
  });
  const [logits] = stored;
  const most = Math.max(...logits);
  const loss = most + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - most), 0)) - logits[text[19]];
  expect(Math.abs(losses[18] - loss)).toBeLessThan(5e-5 * loss);
});

test('only matrices whose rows are whole blocks are quantized', () => {
  const odd = { ...gpt2, nHead: 5, nEmbd: 40 };
  const kept = parameterTable(odd).filter((parameter) => storageOf(parameter) === 'q8');
  expect(kept.map(({ name }) => name)).toEqual(['h.0.mlp.c_proj.weight', 'h.1.mlp.c_proj.weight']); // 160 inputs
  const table = parameterTable(llama);
  const narrow = table.filter((parameter) => storageOf(parameter) === 'q8').map(({ role }) => role);
  expect(new Set(narrow)).toEqual(new Set(['token embedding', 'transposed linear weight', 'output head']));
});
