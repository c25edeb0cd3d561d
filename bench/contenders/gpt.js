/**
 * This program as a contender, see bench/common.js.
 *
 *     node bench/contenders/gpt.js train|peak --model nano [--threads 2] [--variant relaxed]
 *     node bench/contenders/gpt.js lora --layers 30 --heads 9 --kv 3 --channels 576 --inner 1536 --vocab 49152 --block 256 --batch 4 --rank 16
 *     node bench/contenders/gpt.js sample --model nano --tokens 63 [--weights bf16]
 *     node bench/contenders/gpt.js tokenize --file text.txt --tokenizer tokenizer.json
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { openCorpus } from '../../dist/data/corpus.js';
import { tokenIds } from '../../dist/data/tokenize.js';
import { createWasmBackend, defaultThreads } from '../../dist/engine/wasm.js';
import { gemmPeak, readBandwidth } from '../../dist/measure/engine.js';
import { llamaDefaults } from '../../dist/model/architectures/llama-config.js';
import { checkConfig } from '../../dist/model/architectures/registry.js';
import { linearLayers } from '../../dist/model/lora.js';
import { parameterTable } from '../../dist/model/parameters.js';
import { benchModels, startSampling } from '../../dist/measure/models.js';
import { startTraining } from '../../dist/train/timed-training.js';
import { tokenizerFromJson } from '../../dist/tokenizer/registry.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'nano' },
    threads: { type: 'string', default: String(defaultThreads()) },
    variant: { type: 'string' },
    layers: { type: 'string' },
    heads: { type: 'string' },
    channels: { type: 'string' },
    block: { type: 'string' },
    batch: { type: 'string' },
    vocab: { type: 'string' },
    kv: { type: 'string' },
    inner: { type: 'string' },
    rank: { type: 'string' },
    tokens: { type: 'string', default: '16' },
    weights: { type: 'string', default: 'f32' },
    file: { type: 'string' },
    tokenizer: { type: 'string' },
  },
});

/** A well-known shape, with any dimensions given as flags replaced. */
function modelOf() {
  const { config, batchSize, optimizer } = benchModels[values.model];
  const chosen = {
    nLayer: values.layers,
    nHead: values.heads,
    nEmbd: values.channels,
    blockSize: values.block,
  };
  const given = Object.entries(chosen).filter(([, value]) => value !== undefined);
  return {
    config: { ...config, ...Object.fromEntries(given.map(([name, value]) => [name, Number(value)])) },
    batchSize: Number(values.batch ?? batchSize),
    optimizer,
  };
}

/** Adapters on every linear layer of a Llama with random weights. */
function adaptedLlama() {
  const [vocabSize, blockSize, nLayer, nHead, nKvHead, nEmbd, nInner, batchSize, rank] = [
    'vocab',
    'block',
    'layers',
    'heads',
    'kv',
    'channels',
    'inner',
    'batch',
    'rank',
  ].map((name) => Number(values[name]));
  const config = checkConfig({
    ...llamaDefaults,
    arch: 'llama',
    vocabSize,
    blockSize,
    nLayer,
    nHead,
    nKvHead,
    nEmbd,
    nInner,
    tieWordEmbeddings: true,
    dropout: 0,
  });
  const targets = linearLayers(parameterTable(config));
  const lora = { rank, alpha: 2 * rank, dropout: 0, targets, isRankStabilized: false, base: { path: '' } };
  return { config: { ...config, lora }, batchSize, optimizer: 'adamw' };
}

const startBackend = () => createWasmBackend({ threads: Number(values.threads), variant: values.variant });

/** V8 compiles kernels in the background; until it has, they are many times slower. */
async function warmUp(run) {
  const until = performance.now() + 3000;
  while (performance.now() < until) await run();
}

async function trainingOf(model) {
  const backend = await startBackend();
  const training = startTraining(backend, model);
  await warmUp(() => training.run(1));
  const { tokensPerStep, flopsPerStep, memoryBytes } = training;
  const facts = { engine: backend.name, tokensPerStep, flopsPerStep, memoryBytes };
  return [facts, async (steps) => ({ seconds: await training.run(steps) })];
}

const work = {
  train: () => trainingOf(modelOf()),
  lora: () => trainingOf(adaptedLlama()),
  async sample() {
    const backend = await startBackend();
    const sampling = startSampling(backend, modelOf(), values.weights);
    await warmUp(() => sampling.run(16));
    const facts = { engine: backend.name, bytesPerToken: sampling.bytesPerToken };
    const tokens = Number(values.tokens);
    return [
      facts,
      async (texts) => {
        let seconds = 0;
        for (let text = 0; text < texts; text++) seconds += await sampling.run(tokens);
        return { seconds };
      },
    ];
  },
  async peak() {
    const backend = await startBackend();
    await gemmPeak(backend, 2);
    await readBandwidth(backend, 1);
    const measure = async (seconds) => ({
      flops: await gemmPeak(backend, seconds),
      bandwidth: await readBandwidth(backend, seconds),
    });
    return [{ engine: backend.name }, measure];
  },
  async tokenize() {
    const tokenizer = tokenizerFromJson(readFileSync(values.tokenizer, 'utf8'));
    const run = () => {
      const start = performance.now();
      let tokens = 0;
      for (const ids of tokenIds(openCorpus([values.file], { encodingErrors: 'strict' }), tokenizer))
        tokens += ids.length;
      return { seconds: (performance.now() - start) / 1000, tokens };
    };
    return [{ hash: hashOfStart(tokenizer) }, run];
  },
};

/** Hash of the ids of the first 100,000 characters, on which the contenders must agree. */
function hashOfStart(tokenizer) {
  const encoder = tokenizer.encoder();
  const text = readFileSync(values.file, 'utf8').slice(0, 100_000);
  const ids = [...encoder.push(text), ...encoder.end()];
  return createHash('sha256').update(ids.join(' ')).digest('hex');
}

const [ready, run] = await work[positionals[0]]();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
say({ ready });
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await run(Number(line));
  say({ ...answer, peakBytes: process.resourceUsage().maxRSS * 1024 });
}
