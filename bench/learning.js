/**
 * Compares recipes: trains each recipe below with several seeds on a text and prints the loss over the whole validation
 * split, in nats per token. All see the same number of tokens; time is not compared. Runs use one thread each, with one run
 * per core at a time, which does not affect results.
 *
 *     npm run build && node bench/learning.js TEXT [--seeds 1,2,3] [--only NAME] [--max-iters 1991]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdown } from './common.js';
import { mean, thisGpt, trainGpt } from './runs.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    only: { type: 'string', default: '' },
    'max-iters': { type: 'string', default: '1991' },
  },
});
if (positionals.length !== 1) {
  process.stderr.write('usage: node bench/learning.js TEXT [--seeds 1,2,3] [--only NAME] [--max-iters N]\n');
  process.exit(2);
}
const steps = Number(values['max-iters']);

/** AdamW and Lion do better with a long warm-up and a short decay, Muon with a short warm-up and a long decay. */
const late = '--schedule wsd --warmup-iters 100'.split(' ');
const adamw = ['--optimizer', 'adamw', ...late];
/** A fifth of AdamW's rate and five times its weight decay, which are its defaults here. */
const lion = ['--optimizer', 'lion', ...late, ...'--learning-rate 6e-4 --weight-decay 0.5'.split(' ')];
const muon = '--optimizer muon --schedule linear --warmup-iters 20'.split(' ');
const published = ['--arch', 'qwen3', ...muon, '--muon-scale', 'matrix'];
const fanIn = ['--initialization', 'fan-in'];
const recipes = {
  'GPT-2, AdamW': ['--arch', 'gpt2', ...adamw],
  'GPT-2, Muon': ['--arch', 'gpt2', ...muon],
  'Qwen3, AdamW': ['--arch', 'qwen3', ...adamw],
  'Qwen3, AdamW, initialized by fan-in': ['--arch', 'qwen3', ...adamw, ...fanIn],
  'Qwen3, Lion, initialized by fan-in': ['--arch', 'qwen3', ...lion, ...fanIn],
  'Llama, Muon': ['--arch', 'llama', ...muon],
  'Qwen3, Muon': ['--arch', 'qwen3', ...muon],
  'Qwen3, Muon as published': published,
  "Qwen3, Muon, GPT-2's initialization": ['--arch', 'qwen3', ...muon, '--initialization', 'gpt2'],
  // The last row of docs/recipe-experiments.md#which-architecture-and-optimizer.
  'Qwen3, Muon as published, at 6e-3': [...published, '--learning-rate', '6e-3'],
};
/** 4 layers of 128 channels, 768 tokens per step. */
const shared =
  '--n-layer 4 --n-head 4 --n-embd 128 --block-size 128 --batch-size 6 --min-lr 0 --learning-rate 3e-3 --weight-decay 0.1 ' +
  '--eval-interval 0 --sample-tokens 0 --threads 1';

const folder = mkdtempSync(join(tmpdir(), 'learning-'));

/** The validation loss of a run. */
async function train(name, seed) {
  const out = join(folder, `${Object.keys(recipes).indexOf(name)}-${seed}`);
  const length = ['--max-iters', String(steps), '--seed', String(seed)];
  const flags = [positionals[0], ...shared.split(' '), ...recipes[name], ...length];
  const { val_loss: loss } = await trainGpt(thisGpt, flags, out);
  rmSync(out, { recursive: true, force: true });
  return loss;
}

const jobs = Object.keys(recipes)
  .filter((name) => name.includes(values.only))
  .flatMap((name) => values.seeds.split(',').map((seed) => ({ name, seed: Number(seed) })));
const losses = new Map();
const workers = Array.from({ length: availableParallelism() }, async () => {
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
    const loss = await train(job.name, job.seed);
    losses.set(job.name, [...(losses.get(job.name) ?? []), { ...job, loss }]);
    process.stderr.write(`${job.name}, seed ${job.seed}: ${loss.toFixed(4)}\n`);
  }
});
await Promise.all(workers);
rmSync(folder, { recursive: true, force: true });

const rows = [...losses].map(([name, runs]) => {
  const sorted = runs.sort((a, b) => a.seed - b.seed).map(({ loss }) => loss);
  return [name, ...sorted.map((loss) => loss.toFixed(3)), mean(sorted).toFixed(3)];
});
const seeds = values.seeds.split(',').map((seed) => `seed ${seed}`);
process.stdout.write(`${markdown(['recipe', ...seeds, 'mean'], rows)}\n`);
