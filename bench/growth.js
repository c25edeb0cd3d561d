/**
 * How cost scales: tokens per second and memory of training as block size, width, layers and batch vary, one at a time, with
 * the exponents of power laws fitted on a log-log scale. Writes bench/growth.md and bench/growth.json.
 *
 *     npm run bench:growth
 */
import { writeFileSync } from 'node:fs';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { benchModels } from '../dist/measure/models.js';
import { medianRate } from '../dist/measure/rate.js';
import { startTraining } from '../dist/train/timed-training.js';
import { count, markdown } from './common.js';
import { machine } from './machine.js';

const base = { blockSize: 128, nEmbd: 256, nLayer: 4, batchSize: 8 };
const HEAD_SIZE = 32;
const axes = {
  'block size': ['blockSize', [64, 128, 256, 512, 1024]],
  width: ['nEmbd', [64, 128, 256, 512, 768]],
  layers: ['nLayer', [1, 2, 4, 8, 16]],
  batch: ['batchSize', [1, 2, 4, 8, 16, 32]],
};

async function measure({ blockSize, nEmbd, nLayer, batchSize }) {
  const config = { ...benchModels.nano.config, blockSize, nEmbd, nLayer, nHead: nEmbd / HEAD_SIZE };
  const backend = await createWasmBackend();
  const training = startTraining(backend, { config, batchSize, optimizer: 'adamw' });
  const rate = await medianRate(training.run, 1);
  await backend.close();
  return { step: 1 / rate, tokens: rate * training.tokensPerStep, memory: training.memoryBytes };
}

/** Slope of the least-squares line through (ln x, ln y). */
function exponent(xs, ys) {
  const [u, v] = [xs, ys].map((values) => values.map(Math.log));
  const mean = (values) => values.reduce((a, b) => a + b) / values.length;
  const [mu, mv] = [mean(u), mean(v)];
  const covariance = u.reduce((sum, x, i) => sum + (x - mu) * (v[i] - mv), 0);
  return covariance / u.reduce((sum, x) => sum + (x - mu) ** 2, 0);
}

const here = machine();
const sections = [];
const record = { machine: here, base, axes: {} };
for (const [title, [field, values]] of Object.entries(axes)) {
  const results = [];
  for (const value of values) {
    results.push(await measure({ ...base, [field]: value }));
    process.stderr.write(`${title} ${value}: ${count(results.at(-1).tokens)} tokens/s\n`);
  }
  const [time, memory] = ['step', 'memory'].map((of) =>
    exponent(
      values,
      results.map((result) => result[of]),
    ),
  );
  record.axes[field] = { values, results, exponents: { time, memory } };
  const rows = results.map(({ step, tokens, memory: bytes }, i) => [
    values[i],
    `${(1000 * step).toFixed(1)} ms`,
    count(tokens),
    `${count(bytes / 1e6)} MB`,
  ]);
  rows.push([
    '**exponent**',
    time.toFixed(2),
    exponent(
      values,
      results.map((r) => r.tokens),
    ).toFixed(2),
    memory.toFixed(2),
  ]);
  sections.push(`## By ${title}\n\n${markdown([title, 'a step', 'tokens/s', 'memory'], rows)}`);
}
const text = `# How cost grows

Training on ${here.processor}, ${here.cores} cores, Node ${here.node}. One number changes at a time; the others are
${base.nLayer} layers, ${base.nEmbd} channels in heads of ${HEAD_SIZE}, block ${base.blockSize}, batch ${base.batchSize}.
An exponent of 1 means twice as much for twice as much.

${sections.join('\n\n')}
`;
writeFileSync(new URL('growth.md', import.meta.url), text);
writeFileSync(new URL('growth.json', import.meta.url), `${JSON.stringify(record, undefined, 2)}\n`);
process.stdout.write(text);
