/** Times a training step of small models in two variants of its instructions, in alternating rounds. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { llamaDefaults } from '../dist/model/architectures/llama-config.js';
import { trainingPrograms } from '../dist/train/programs.js';
import { Trainer } from '../dist/train/trainer.js';
import { markdown, median, medianOf, times } from './common.js';
import { optimizerOptions } from './contenders/optimizer-options.js';
import { fail } from './failure.js';
import { machine } from './machine.js';

/** Layers, heads, channels, sequences of 128 tokens: about the steps of short runs of `gpt train`. */
const models = [
  [2, 2, 64, 8],
  [3, 3, 96, 8],
  [4, 4, 128, 12],
  [6, 6, 192, 16],
  [6, 8, 256, 16],
];
const CONTEXT = 128;
const VOCABULARY = 65;
/** Duration of a measurement, in milliseconds. */
const TURN = 100;
/** Elements of memory after that of the programs, for changed instructions; they are 0. */
const EXTRA = 4096;

/**
 * The programs of a step, loaded once per variant.
 *
 * @param variants functions by name: an instruction and the offset of EXTRA zeros → the changed instruction
 */
async function load(device, [nLayer, nHead, nEmbd, batchSize], variants) {
  const shape = { vocabSize: VOCABULARY, blockSize: CONTEXT, nLayer, nHead, nEmbd };
  const config = { ...llamaDefaults, arch: 'qwen3', ...shape, dropout: 0 };
  const programs = trainingPrograms({ config, batchSize, microBatches: 1, optimizer: 'muon' });
  const trainer = new Trainer(device, programs, optimizerOptions('muon'), 1);
  trainer.initialize();
  device.reserve(programs.end + EXTRA);
  device.fill(programs.end, EXTRA, 0);
  const ids = Int32Array.from({ length: batchSize * CONTEXT }, (_, i) => (i * i + 7 * i) % VOCABULARY);
  await trainer.step(0, [{ inputs: ids, targets: ids.toReversed() }], 1e-3, 0.02); // writes the batch and the hyperparameters
  const parts = [programs.forwardBackward, programs.gradientNorm, programs.update];
  return Object.values(variants).map((change) =>
    parts.map(({ instructions }) => device.load(instructions.map((each) => change(each, programs.end)))),
  );
}

/** Median milliseconds of the parts of a step in one turn. */
function measure([forwardBackward, gradientNorm, update]) {
  const found = { 'forward and backward pass': [], update: [], step: [] };
  for (const until = performance.now() + TURN; performance.now() < until || found.step.length < 3;) {
    const start = performance.now();
    forwardBackward.submit();
    const gradientEnd = performance.now();
    gradientNorm.submit();
    const updateStart = performance.now();
    update.submit();
    const end = performance.now();
    found['forward and backward pass'].push(gradientEnd - start);
    found.update.push(end - updateStart);
    found.step.push(end - start);
  }
  return Object.fromEntries(Object.entries(found).map(([part, each]) => [part, median(each)]));
}

/**
 * Measures all models and prints a table; reads the command line.
 *
 * @param parts of a step that get columns: forward and backward pass, update, step
 * @param variants two functions by name, see `load`; the ratio is the first one's time over the second one's
 */
export async function compareSteps(parts, variants) {
  try {
    const { values } = parseArgs({
      options: { rounds: { type: 'string', default: '15' }, threads: { type: 'string' } },
    });
    const threads = Number(values.threads ?? availableParallelism());
    const rows = [];
    for (const model of models) {
      const device = await createWasmBackend({ threads, activeThreads: () => threads });
      const loaded = await load(device, model, variants);
      const found = loaded.map(() => []);
      for (let round = -1; round < Number(values.rounds); round++)
        for (const [i, programs] of loaded.entries()) {
          const result = measure(programs);
          if (round >= 0) found[i].push(result); // the first round is a warm-up: V8 compiles
        }
      await device.close();
      const [nLayer, , nEmbd, batchSize] = model;
      const cells = parts.flatMap((part) => {
        const [before, after] = found.map((each) => medianOf(each, part));
        return [`${before.toFixed(2)} ms`, `${after.toFixed(2)} ms`, times(before / after)];
      });
      rows.push([`${nLayer}, ${nEmbd}`, (batchSize * CONTEXT).toLocaleString('en-US'), ...cells]);
    }
    const [first, second] = Object.keys(variants);
    const head = parts.flatMap((part) => [`${part}, ${first}`, second, 'ratio']);
    const { processor } = machine();
    const table = markdown(['layers, channels', 'tokens', ...head], rows);
    process.stdout.write(`${processor}, ${threads} threads\n\n${table}\n`);
  } catch (error) {
    fail(error);
  }
}
