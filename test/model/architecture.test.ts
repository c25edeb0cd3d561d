/** A new architecture is one file, parallel-gpt2.ts, and one line, `register(parallelGpt2)`; everything else works with it. */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { checkGradients, TOLERANCE } from '../../src/autodiff/gradcheck.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { printOverview } from '../../src/cli/inspect/overview.ts';
import { evaluate, load, sample, train, UsageError } from '../../src/index.ts';
import { register } from '../../src/model/architectures/registry.ts';
import { modelGradientCases } from '../../src/model/gradcheck-cases.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { hostTensor } from '../../src/model/tensor.ts';
import { expectDecodingAgrees } from '../fixtures/decoding.ts';
import { failure } from '../fixtures/failure.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';
import { HEAD, parallelGpt2 } from './parallel-gpt2.ts';

register(parallelGpt2);

const folder = mkdtempSync(join(tmpdir(), 'architecture-'));
const corpus = join(folder, 'corpus.txt');
const outDir = join(folder, 'run');
const tiny = {
  nLayer: 2,
  nHead: 2,
  nEmbd: 16,
  blockSize: 16,
  batchSize: 4,
  evalInterval: 20,
  learningRate: 1e-2,
  threads: 1,
};

beforeAll(async () => {
  writeFileSync(corpus, 'call me ishmael. some years ago, never mind how long. '.repeat(60));
  await train({ corpus: [corpus], outDir, arch: 'parallel-gpt2', maxIters: 60, ...tiny });
});
afterEach(() => vi.restoreAllMocks());

test('its gradients agree with numerical ones', async () => {
  const cases = modelGradientCases().filter(({ name }) => name.startsWith('parallel'));
  expect(cases).toHaveLength(2); // the second with adapters, of which the architecture's file knows nothing
  for (const each of cases)
    for (const { input, relativeError } of await checkGradients(each, { limit: 30 }))
      expect(relativeError, input).toBeLessThan(TOLERANCE);
});

test('it is saved under its own name and loaded again', () => {
  const { config } = openModelFolder(outDir);
  expect(config).toMatchObject({ arch: 'parallel-gpt2', nLayer: 2, nEmbd: 16 });
  expect(JSON.parse(readFileSync(join(outDir, 'config.json'), 'utf8'))).toMatchObject({
    architectures: ['ParallelGPT2'],
    model_type: 'parallel-gpt2',
  });
});

test('a file may contain the tied output head under its own name, if it is the token embedding', () => {
  const model = openModelFolder(outDir);
  const { config } = model;
  const tensors = parameterTable(config).map(hostTensor);
  model.load(tensors);
  const [embedding] = tensors;
  const copied = join(folder, 'copied');
  cpSync(outDir, copied, { recursive: true });
  const loadWith = (data: Float32Array): void => {
    writeHostWeights(copied, config, [...tensors, { ...embedding, name: HEAD, data }], {});
    openModelFolder(copied).load(parameterTable(config).map(hostTensor));
  };
  loadWith(embedding.data);
  expect(() => loadWith(embedding.data.map((x) => x + 1))).toThrow(failure('mismatched-files', HEAD));
});

test('it has learned, and samples', async () => {
  await using model = await load(outDir, { threads: 1 });
  const { natsPerToken } = await evaluate(model, 'call me ishmael. some years ago');
  expect(natsPerToken).toBeLessThan(2.5);
  let text = '';
  for await (const piece of sample(model, 'call', { maxTokens: 30, seed: 1 })) text += piece;
  expect(text).toHaveLength(30);
});

test('decoding with a KV cache agrees with a full forward pass', async () => {
  await expectDecodingAgrees(outDir, [1, 4, 2, 7, 3, 5]);
});

test('a resumed run ends with the same bytes', async () => {
  const resumed = join(folder, 'resumed');
  let steps = 0;
  const interrupted = () => steps >= 25;
  await train(
    { corpus: [corpus], outDir: resumed, arch: 'parallel-gpt2', maxIters: 60, ...tiny },
    { event: (event) => void (event.type === 'step' && steps++), interrupted },
  );
  await train({ corpus: [], resume: resumed });
  const weights = (run: string) => readFileSync(join(run, 'model.safetensors'));
  expect(weights(resumed).equals(weights(outDir))).toBe(true);
});

test('inspect shows it', async () => {
  let shown = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text, ...rest: unknown[]) => {
    shown += String(text);
    (rest.at(-1) as (() => void) | undefined)?.();
    return true;
  });
  await printOverview(openModelFolder(outDir), { json: false });
  vi.restoreAllMocks();
  expect(shown).toContain('parallel blocks');
  expect(shown).toMatch(/attention\s+2,176/); // 2 · (C·3C + 3C + C·C + C), C = 16
  expect(shown).toContain('h.1.mlp.c_fc.weight');
  expect(shown).not.toContain('ln_2');
});

test('an architecture that is not registered is wrong usage', async () => {
  const wrong = train({ corpus: [corpus], outDir: join(folder, 'x'), arch: 'gpt9', maxIters: 1 });
  await expect(wrong).rejects.toThrow(UsageError);
});
