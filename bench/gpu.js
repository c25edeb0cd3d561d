/**
 * Training on a GPU through WebGPU, beside PyTorch's eager float32 (TF32 off) on the same GPU if there is a Python whose torch
 * has CUDA: tokens per second, the rate of GEMM, the loss after 5,000 steps, and GPT-2 124M with its full context. If the GPU
 * has float16, also GEMM and training with `--matmul-precision float16`.
 *
 *     npm install --no-save webgpu && npm run build
 *     node_modules/.bin/node bench/gpu.js [--peak TFLOPS] [--python .venv/bin/python] [--corpus tinyshakespeare.txt]
 *
 * `--peak` is the GPU's float32 peak without tensor cores, which no program can query. `--tiny` uses shapes small enough for
 * SwiftShader, to try out the script itself. GPT_WEBGPU is the folder of the npm package, as everywhere.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseBackend } from '../dist/engine/backend.js';
import { chooseDevice } from '../dist/engine/device-choice.js';
import { matmulPrecisions } from '../dist/engine/matmul-precision.js';
import { findAdapter, setWebGpuFolder } from '../dist/engine/webgpu-package.js';
import { FLOAT16 } from '../dist/engine/webgpu/gpu.js';
import { cacheFolder, setTileFolder } from '../dist/engine/webgpu/tile-cache.js';
import { STANDARD_TILES, tileNames } from '../dist/engine/webgpu/tiles.js';
import { tuneTiles } from '../dist/engine/webgpu/tune.js';
import { EngineMemoryError } from '../dist/engine/engine-memory-error.js';
import { growingGemm, growingRead } from '../dist/engine/gpu-rates.js';
import { benchModels } from '../dist/measure/models.js';
import { startTraining } from '../dist/train/timed-training.js';
import { trainModel } from '../dist/train/train-model.js';
import { alternate, count, markdown, medianOf, python, times } from './common.js';
import { machine } from './machine.js';
import { shapeFlags } from './training.js';

const { values } = parseArgs({
  options: {
    peak: { type: 'string' },
    python: { type: 'string', default: '.venv/bin/python' },
    corpus: { type: 'string', default: 'data/moby-dick.txt' },
    rounds: { type: 'string', default: '5' },
    tiny: { type: 'boolean', default: false },
  },
});
const log = (line) => process.stderr.write(`${line}\n`);
const gflops = (rate) => `${(rate / 1e9).toPrecision(3)} GFLOP/s`;
const rows = [];

setWebGpuFolder(process.env.GPT_WEBGPU || undefined);
setTileFolder(cacheFolder(process.env));
await chooseDevice('webgpu');

const hasFloat16 = (await findAdapter()).features.has(FLOAT16);
const precisions = matmulPrecisions.filter((precision) => precision === 'float32' || hasFloat16);
if (!hasFloat16) log('this GPU has no float16');
const inFloat16 = (precision) => (precision === 'float32' ? '' : `, ${precision} GEMM`);

/** Calls a function with the GPU, freshly opened, so that its memory is empty. */
async function onGpu(use, matmulPrecision = 'float32') {
  const { backend } = await chooseBackend({ matmulPrecision });
  try {
    return await use(backend);
  } finally {
    await backend.close();
  }
}

/** PyTorch on CUDA, if there is one. */
async function pytorch(model) {
  try {
    return await python('PyTorch', values.python, 'pytorch_train.py', {
      ...shapeFlags(model),
      batch: model.batchSize,
      device: 'cuda',
    });
  } catch (error) {
    log(`no PyTorch with CUDA: ${error.message}`);
    return undefined;
  }
}

/** Tokens per second in each precision; in float32, alternating with PyTorch. */
async function compareTraining(title, model, steps) {
  for (const precision of precisions)
    await timeTraining(title + inFloat16(precision), model, steps, precision);
}

async function timeTraining(title, model, steps, precision) {
  await onGpu(async (device) => {
    const training = startTraining(device, model);
    await training.run(2); // compiles the shaders
    const ours = { run: async (n) => ({ seconds: await training.run(n) }) };
    const rival = precision === 'float32' ? await pytorch(model) : undefined;
    const contenders = rival === undefined ? [ours] : [ours, rival];
    const answers = await alternate(contenders, [steps, steps], Number(values.rounds));
    await rival?.close();
    const [seconds, theirs] = answers.map((each) => medianOf(each, 'seconds') / steps);
    const { tokensPerStep, flopsPerStep } = training;
    rows.push([
      title,
      `${count(tokensPerStep / seconds)} tokens/s, ${gflops(flopsPerStep / seconds)}`,
      rival === undefined ? '–' : `PyTorch ${rival.ready.version}: ${count(tokensPerStep / theirs)} tokens/s`,
      rival === undefined ? '–' : times(theirs / seconds),
    ]);
  }, precision);
}

/** The loss on the validation split after a complete run; with tinyshakespeare, the run of nanoGPT's README. */
async function trainWhole(title, options) {
  const outDir = mkdtempSync(join(tmpdir(), 'bench-gpu-'));
  const start = performance.now();
  const { validationLoss, progress } = await trainModel({
    corpus: [values.corpus],
    ...options,
    outDir,
    overwrite: true,
  });
  rmSync(outDir, { recursive: true });
  const minutes = (performance.now() - start) / 60_000;
  rows.push([
    `${count(progress.step)} steps of ${title}`,
    `${validationLoss.toFixed(4)} nats/token in ${minutes.toFixed(1)} minutes`,
    '–',
    '–',
  ]);
}

const tiny = (name, size, batchSize) => ({
  ...benchModels[name],
  batchSize,
  config: { ...benchModels[name].config, ...size },
});
const small = { nLayer: 1, nHead: 2, nEmbd: 32, blockSize: 32 };
const models = values.tiny
  ? { baby: tiny('baby', small, 2), gpt2: tiny('gpt2', { ...small, vocabSize: 300 }, 1) }
  : { baby: { ...benchModels.baby, batchSize: 64 }, gpt2: tiny('gpt2', { blockSize: 1024 }, 4) };
const steps = values.tiny ? 1 : 20;
/** GEMM with the standard tiles and with the fastest measured ones, and memory bandwidth. */
const measureRates = (precision) => async (device) => {
  log(`${device.name}: measuring GEMM`);
  device.tiles = STANDARD_TILES;
  const title = `GEMM${precision === 'float32' ? '' : ` in ${precision}`}`;
  rows.push([`${title}, standard tiles`, gflops(await growingGemm(device, 2)), '–', '–']);
  device.clear();
  device.tiles = await tuneTiles(device);
  log(`tiles: ${JSON.stringify(tileNames(device.tiles))}`);
  const flops = await growingGemm(device, 2);
  const share =
    values.peak === undefined || precision !== 'float32'
      ? '–'
      : `${((flops / Number(values.peak) / 1e12) * 100).toFixed(0)}% of the peak`;
  rows.push([`${title}, tiles measured on this GPU`, gflops(flops), share, '–']);
  if (precision !== 'float32') return device.name;
  device.clear();
  rows.push(['reading memory', `${((await growingRead(device, 2)) / 1e9).toPrecision(3)} GB/s`, '–', '–']);
  return device.name;
};
const name = await onGpu(measureRates('float32'));
for (const precision of precisions.slice(1)) await onGpu(measureRates(precision), precision);
const { nLayer, nHead, nEmbd, blockSize } = models.baby.config;
const shape = `${nLayer}/${nHead}/${nEmbd}, block ${blockSize}, batch ${models.baby.batchSize}`;
log(`training ${shape}`);
await compareTraining(`training, ${shape}`, models.baby, steps);
log('training GPT-2');
try {
  const { config, batchSize } = models.gpt2;
  await compareTraining(`training, GPT-2, block ${config.blockSize}, batch ${batchSize}`, models.gpt2, steps);
} catch (error) {
  if (!(error instanceof EngineMemoryError)) throw error;
  rows.push(['training, GPT-2', error.message, '–', '–']);
}
log('training a whole run');
if (values.tiny) {
  const short = { batchSize: 2, maxIters: 5, evalInterval: 5, evalIters: 1, valFraction: 0.001 };
  await trainWhole('a 1/2/32 model', { preset: 'nano', ...small, ...short });
} else await trainWhole('the preset baby', { preset: 'baby', maxIters: 5000 });
process.stdout.write(`${name} · ${JSON.stringify(machine())}\n\n`);
process.stdout.write(`${markdown(['work', 'gpt', 'against', 'ratio'], rows)}\n`);
