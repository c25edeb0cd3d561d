/**
 * Speed-up from strands: Muon's update and a whole training step, in strands and with every GEMM shared by all threads. The
 * two alternate, on the model sizes that short runs of `gpt train` choose.
 *
 *     npm run build && node bench/strands.js [--rounds 15] [--threads 2]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { llamaDefaults } from '../dist/model/architectures/llama-config.js';
import { trainingPrograms } from '../dist/train/programs.js';
import { Trainer } from '../dist/train/trainer.js';
import { markdown, median, medianOf, times } from './common.js';
import { optimizerOptions } from './contenders/optimizer-options.js';
import { machine } from './machine.js';
import { fail } from './failure.js';

/** Layers, heads, channels, sequences of 128 tokens. */
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

/** The programs of a step, loaded twice: as planned, and without strands. */
async function load(device, [nLayer, nHead, nEmbd, batchSize]) {
  const shape = { vocabSize: VOCABULARY, blockSize: CONTEXT, nLayer, nHead, nEmbd };
  const config = { ...llamaDefaults, arch: 'qwen3', ...shape, dropout: 0 };
  const programs = trainingPrograms({ config, batchSize, microBatches: 1, optimizer: 'muon' });
  const trainer = new Trainer(device, programs, optimizerOptions('muon'), 1);
  trainer.initialize();
  const ids = Int32Array.from({ length: batchSize * CONTEXT }, (_, i) => (i * i + 7 * i) % VOCABULARY);
  await trainer.step(0, [{ inputs: ids, targets: ids.toReversed() }], 1e-3, 0.02); // writes the batch and the hyperparameters
  const parts = [programs.forwardBackward, programs.gradientNorm, programs.update];
  const of = (change) => parts.map(({ instructions }) => device.load(instructions.map(change)));
  return { shared: of(withoutStrand), strands: of((instruction) => instruction) };
}

const withoutStrand = (instruction) => ({ ...instruction, strand: undefined });

/** Median milliseconds of an update and of a step in one turn. */
function measure([forwardBackward, gradientNorm, update]) {
  const steps = [];
  const updates = [];
  for (const until = performance.now() + TURN; performance.now() < until || updates.length < 3;) {
    const start = performance.now();
    forwardBackward.submit();
    gradientNorm.submit();
    const middle = performance.now();
    update.submit();
    const end = performance.now();
    updates.push(end - middle);
    steps.push(end - start);
  }
  return { update: median(updates), step: median(steps) };
}

try {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '15' }, threads: { type: 'string' } },
  });
  const threads = Number(values.threads ?? availableParallelism());
  const rows = [];
  for (const model of models) {
    const device = await createWasmBackend({ threads, activeThreads: () => threads });
    const loaded = await load(device, model);
    const found = { shared: [], strands: [] };
    for (let round = -1; round < Number(values.rounds); round++)
      for (const kind of ['shared', 'strands']) {
        const result = measure(loaded[kind]);
        if (round >= 0) found[kind].push(result); // the first round is a warm-up: V8 compiles
      }
    await device.close();
    const [nLayer, , nEmbd, batchSize] = model;
    const cells = ['update', 'step'].flatMap((part) => {
      const [shared, strands] = [found.shared, found.strands].map((each) => medianOf(each, part));
      return [`${shared.toFixed(2)} ms`, `${strands.toFixed(2)} ms`, times(shared / strands)];
    });
    rows.push([`${nLayer}, ${nEmbd}`, (batchSize * CONTEXT).toLocaleString('en-US'), ...cells]);
  }
  const { processor } = machine();
  const head = [
    'layers, channels',
    'tokens',
    'update, shared',
    'in strands',
    'ratio',
    'step, shared',
    'in strands',
    'ratio',
  ];
  process.stdout.write(`${processor}, ${threads} threads\n\n${markdown(head, rows)}\n`);
} catch (error) {
  fail(error);
}
