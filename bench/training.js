/**
 * Training speed beside PyTorch's, on this machine: both train the same architecture, taking turns, so that a busy or slow
 * machine is equally so for both. Prints medians of the rounds as a Markdown table.
 *
 *     npm run build && node bench/training.js [nano|baby|gpt2 …] [--rounds 7] [--python .venv/bin/python]
 *
 * The Python needs torch (test/interop/requirements.txt has it: `npm run test:interop` makes .venv).
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { gpt2Defaults } from '../dist/model/config.js';
import { trainingPrograms } from '../dist/train/programs.js';
import { Trainer } from '../dist/train/trainer.js';

const shapes = {
  nano: { vocabSize: 65, blockSize: 64, nLayer: 4, nHead: 4, nEmbd: 128, batchSize: 12, steps: 20 },
  baby: { vocabSize: 65, blockSize: 256, nLayer: 6, nHead: 6, nEmbd: 384, batchSize: 8, steps: 2 },
  gpt2: { vocabSize: 50257, blockSize: 256, nLayer: 12, nHead: 12, nEmbd: 768, batchSize: 1, steps: 1 },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    python: { type: 'string', default: '.venv/bin/python' },
  },
});
const threads = availableParallelism();
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** A contender: warm, and ready to run some steps and say how many seconds they took. */
async function ours(shape) {
  const backend = await createWasmBackend({ threads });
  const { vocabSize, blockSize, nLayer, nHead, nEmbd } = shape;
  const config = { ...gpt2Defaults, vocabSize, blockSize, nLayer, nHead, nEmbd, dropout: 0 };
  const programs = trainingPrograms({
    config,
    batchSize: shape.batchSize,
    microBatches: 1,
    optimizer: 'adamw',
  });
  const options = {
    optimizer: 'adamw',
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0.1,
    momentum: 0,
    gradClip: 1,
  };
  const trainer = new Trainer(backend, programs, options, 1);
  const length = shape.batchSize * shape.blockSize;
  const random = () => Int32Array.from({ length }, () => Math.floor(Math.random() * shape.vocabSize));
  let done = 0;
  const run = (steps) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) trainer.step(done++, [{ inputs: random(), targets: random() }], 1e-3);
    return (performance.now() - start) / 1000;
  };
  const warmUntil = performance.now() + 3000; // V8 compiles hot kernels in the background
  while (performance.now() < warmUntil) run(1);
  return { name: backend.name, run, close: () => backend.close() };
}

async function pytorch(shape, compile) {
  const script = fileURLToPath(new URL('rivals/pytorch_train.py', import.meta.url));
  const flags = {
    vocab: shape.vocabSize,
    block: shape.blockSize,
    layers: shape.nLayer,
    heads: shape.nHead,
    channels: shape.nEmbd,
    batch: shape.batchSize,
    threads,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(values.python, [script, ...args, ...(compile ? ['--compile'] : [])], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  const { ready } = await next();
  return {
    name: `PyTorch ${ready} ${compile ? 'compiled' : 'eager'}, ${threads} threads`,
    run: async (steps) => {
      child.stdin.write(`${steps}\n`);
      return (await next()).seconds;
    },
    close: () => child.kill(),
  };
}

process.stdout.write(`${cpus()[0].model}, ${threads} cores, Node ${process.versions.node}\n\n`);
process.stdout.write(
  '| model | contender | ms a step | tokens/s | against the best PyTorch |\n|---|---|---|---|---|\n',
);
for (const name of positionals.length > 0 ? positionals : Object.keys(shapes)) {
  const shape = shapes[name];
  const contenders = [await ours(shape), await pytorch(shape, false), await pytorch(shape, true)];
  const seconds = contenders.map(() => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [i, contender] of contenders.entries())
      seconds[i].push((await contender.run(shape.steps)) / shape.steps);
  const medians = seconds.map(median);
  const rival = Math.min(...medians.slice(1));
  const tokens = shape.batchSize * shape.blockSize;
  contenders.forEach((contender, i) => {
    const cells = [
      name,
      contender.name,
      (1000 * medians[i]).toFixed(1),
      Math.round(tokens / medians[i]),
      `${(rival / medians[i]).toFixed(2)}×`,
    ];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  });
  for (const contender of contenders) await contender.close();
}
