/**
 * This program on several ranks as a contender, see bench/common.js: the ranks share the micro-batches of one model.
 *
 *     mpirun -n 2 node bench/contenders/gpt_ranks.js --model baby --batch 8 --micro-batches 2 [--threads 1]
 *
 * Without a launcher it is one process that trains the same micro-batches.
 */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { detectLaunch } from '../../dist/collective/launch.js';
import { connectMpi } from '../../dist/collective/mpi/connect.js';
import { lazyBackend } from '../../dist/engine/backend.js';
import { benchModels } from '../../dist/measure/models.js';
import { stepOf } from '../../dist/data/batches.js';
import { trainingPrograms } from '../../dist/train/programs.js';
import { follow } from '../../dist/train/ranks/follow.js';
import { Leader } from '../../dist/train/ranks/leader.js';
import { RankedWork } from '../../dist/train/ranks/ranked-work.js';
import { localWork } from '../../dist/train/step-work.js';
import { Trainer } from '../../dist/train/trainer.js';
import { optimizerOptions } from './optimizer-options.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'baby' },
    batch: { type: 'string', default: '8' },
    'micro-batches': { type: 'string', default: '2' },
    threads: { type: 'string', default: '1' },
  },
});
const { config, optimizer } = benchModels[values.model];
const shape = {
  config,
  optimizer,
  batchSize: Number(values.batch),
  microBatches: Number(values['micro-batches']),
};
const options = optimizerOptions(optimizer);

const launch = detectLaunch(process.env);
const ranks = launch && (await connectMpi(launch, process.env));
const engine = lazyBackend({ threads: Number(values.threads), profile: false });
if (ranks !== undefined && ranks.rank > 0) {
  await follow(ranks, engine);
  await ranks.close();
  await engine.close();
} else await lead();

async function lead() {
  const { backend } = await engine.open();
  const trainer = new Trainer(backend, trainingPrograms({ ...shape, ...(ranks && { ranks }) }), options, 1);
  trainer.initialize();
  const leader = ranks && new Leader(ranks);
  const work = leader
    ? await RankedWork.start(leader, backend, trainer, { shape, options, seed: 1 })
    : localWork(trainer);
  await work.stateReplaced();
  const length = shape.batchSize * config.blockSize;
  const ids = () => Int32Array.from({ length }, () => Math.floor(Math.random() * config.vocabSize));
  const never = () => Promise.resolve(false);
  let done = 0;
  const run = async (steps) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) {
      const batches = Array.from({ length: shape.microBatches }, () => ({ inputs: ids(), targets: ids() }));
      await work.stepGradient(done, stepOf(batches), undefined, never);
      await work.update(done++, 1e-3, 1e-3);
    }
    return (performance.now() - start) / 1000;
  };
  const until = performance.now() + 4000; // V8 compiles kernels in the background
  while (performance.now() < until) await run(1);
  const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  say({ ready: { engine: backend.name, ranks: ranks?.size ?? 1, library: ranks?.library } });
  for await (const line of createInterface({ input: process.stdin })) {
    const seconds = await run(Number(line));
    say({ seconds, peakBytes: process.resourceUsage().maxRSS * 1024 });
  }
  await leader?.end();
  await ranks?.close();
  await engine.close();
}
