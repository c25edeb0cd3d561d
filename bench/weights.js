/**
 * Time of a decode step with weights in float32, bfloat16 and q8, alternating: a Llama in the shape of SmolLM2 135M, with
 * random weights.
 *
 *     npm run build && node_modules/.bin/node bench/weights.js [--rounds 5] [--threads 2]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { bytesOf } from '../dist/engine/memory.js';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { Decoder } from '../dist/generate/decoder.js';
import { toBfloat16 } from '../dist/half-precision.js';
import { elements, parameterTable } from '../dist/model/parameters.js';
import { inQ8 } from '../dist/model/q8-weights.js';
import { modelConfig, resolveOptions } from '../dist/train/settings.js';
import { markdown, median } from './common.js';
import { machine } from './machine.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});
const [rounds, threads] = [Number(values.rounds), Number(values.threads)];
/** Decode steps in a round: about a second. */
const STEPS = 16;
/** Context length, and the tokens of it that the prompt takes up. */
const [BLOCK, PROMPT] = [512, 16];

const shape = { arch: 'llama', nLayer: 30, nHead: 9, nKvHead: 3, nEmbd: 576, blockSize: BLOCK };
const config = modelConfig(
  resolveOptions({ corpus: [], ...shape, nInner: 1536, tieWordEmbeddings: true }),
  49_152,
);

const isMatrix = ({ shape: { length } }) => length === 2;
const types = {
  f32: () => 'f32',
  bf16: (parameter) => (isMatrix(parameter) ? 'bf16' : 'f32'),
  q8: inQ8(() => 'f32'),
};

/** Random matrices, the same for each type. Speed does not depend on their values. */
function load(targets) {
  const numbers = Float32Array.from({ length: 2 ** 16 }, (_, i) => Math.sin(i * i) / 16);
  for (const target of targets) {
    const length = elements(target.shape);
    for (let at = 0; at < length; at += numbers.length) {
      const piece = numbers.subarray(0, Math.min(numbers.length, length - at));
      if (target.half) target.half.write(toBfloat16(piece), at);
      else target.write(piece, at);
    }
  }
}

/** Bytes that a decode step reads: all parameters. */
const megabytes = (storageOf) =>
  parameterTable(config).reduce(
    (sum, parameter) => sum + bytesOf(elements(parameter.shape), storageOf(parameter)),
    0,
  ) / 1e6;

const decoders = [];
for (const [name, storageOf] of Object.entries(types)) {
  const device = await createWasmBackend({ threads });
  const decoder = Decoder.create(device, config, load, 1, storageOf);
  await decoder.read(Array.from({ length: PROMPT }, (_, i) => i));
  decoders.push({ name, device, decoder, seconds: [], megabytes: megabytes(storageOf) });
}
for (let round = -1; round < rounds; round++)
  for (const { decoder, seconds } of decoders) {
    const start = performance.now();
    for (let i = 0; i < STEPS; i++) await decoder.step([i]);
    if (round >= 0) seconds.push((performance.now() - start) / 1000 / STEPS); // the first round is a warm-up
  }
const time = ({ seconds }) => median(seconds);
const rows = decoders.map((each) => [
  each.name,
  `${each.megabytes.toFixed(0)} MB`,
  `${(1000 * time(each)).toFixed(1)} ms`,
  `${(each.megabytes / 1000 / time(each)).toFixed(1)} GB/s`,
  `${(time(decoders[0]) / time(each)).toFixed(2)}×`,
]);
for (const { device } of decoders) await device.close();
const { processor, cores } = machine();
const head = ['weights', 'size', 'a token', 'read', 'against f32'];
process.stdout.write(`${processor}, ${cores} cores, ${threads} threads\n\n${markdown(head, rows)}\n`);
