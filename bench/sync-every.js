/**
 * The validation loss that infrequent synchronization costs: `gpt train --sync-every N` on several ranks, compared with a run
 * whose ranks share every step and with one process that trains on the sequences of a single rank, after the same number of
 * steps. Losses are over the whole validation split.
 *
 *     npm run build && node bench/sync-every.js TEXT [--ranks 2,4] [--every 8,32,128] [--steps 512] [--seeds 1]
 *       [--optimizer adamw] [--flags='--outer-lr 0.5'] [--mpirun mpirun]
 *
 * The model has 4 layers, 4 heads and 128 channels; a step has 8 sequences of 128 characters. Ranks have one thread each.
 * --flags are added to the commands of replicas. mpirun may be followed by arguments: --mpirun 'mpirun --map-by :OVERSUBSCRIBE'.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdown } from './common.js';
import { fail, mean, thisGpt, trainGpt, trainOnRanks, WrongUsage } from './runs.js';

const SEQUENCES = 8;
/** The most ranks that can share a step. */
const MICRO_BATCHES = 4;

const words = (text) => text.split(' ').filter((word) => word !== '');

const model = words(
  '--arch qwen3 --n-layer 4 --n-head 4 --n-embd 128 --block-size 128 --tokenizer char --threads 1 ' +
    `--batch-size ${SEQUENCES / MICRO_BATCHES} ` +
    '--eval-interval 0 --save-every 0 --sample-tokens 0',
);

/** With the decay of bench/learning.js. */
const recipes = {
  adamw: (steps) =>
    `--optimizer adamw --learning-rate 3e-3 --min-lr 0 --warmup-iters 100 --schedule wsd --lr-decay-start ${Math.round(0.75 * steps)}`,
  muon: (steps) =>
    `--optimizer muon --learning-rate 3e-3 --min-lr 6e-5 --warmup-iters 20 --schedule wsd --lr-decay-start ${Math.round(0.5 * steps)}`,
};

/** In place of the steps between synchronizations: all ranks share every step, or one rank trains alone. */
const [SHARED, ALONE] = ['step (shared)', 'never: one alone'];

/**
 * @param every steps between synchronizations, SHARED or ALONE
 * @returns the loss, and the megabytes that a rank sends per step in a reduce-scatter and an all-gather
 */
async function train(text, { ranks, every, seed, steps, optimizer, flags, launcher }) {
  const folder = mkdtempSync(join(tmpdir(), 'sync-every-'));
  try {
    const out = join(folder, 'run');
    const run = [text, ...model, ...words(recipes[optimizer](steps))];
    const microBatches = every === ALONE ? Math.floor(MICRO_BATCHES / ranks) : MICRO_BATCHES;
    run.push('--max-iters', String(steps), '--seed', String(seed));
    run.push('--gradient-accumulation-steps', String(microBatches));
    const { val_loss: loss } =
      every === SHARED || every === ALONE
        ? await trainGpt(thisGpt, run, out)
        : await trainOnRanks(launcher, ranks, [...run, '--sync-every', String(every), ...flags], out);
    const bytes = statSync(join(out, 'model.safetensors')).size;
    const synchronizations = every === ALONE ? 0 : every === SHARED ? 1 : 1 / every; // per step
    return { loss, megabytes: ((2 * bytes * (ranks - 1)) / ranks / 1e6) * synchronizations };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ranks: { type: 'string', default: '2,4' },
      every: { type: 'string', default: '8,32,128' },
      steps: { type: 'string', default: '512' },
      seeds: { type: 'string', default: '1' },
      optimizer: { type: 'string', default: 'adamw' },
      flags: { type: 'string', default: '' },
      mpirun: { type: 'string', default: 'mpirun' },
    },
  });
  const [text] = positionals;
  if (text === undefined) throw new WrongUsage('name a text, such as tinyshakespeare.txt');
  const numbersOf = (list) => list.split(',').map(Number);
  const given = {
    steps: Number(values.steps),
    optimizer: values.optimizer,
    flags: words(values.flags),
    launcher: words(values.mpirun),
  };
  const average = async (ranks, every) => {
    const runs = [];
    for (const seed of numbersOf(values.seeds))
      runs.push(await train(text, { ...given, ranks, every, seed }));
    return { loss: mean(runs.map(({ loss }) => loss)), megabytes: runs[0].megabytes };
  };
  const shared = await average(2, SHARED); // any number of ranks trains the same model
  const rows = [];
  const add = (ranks, every, { loss, megabytes }) => {
    const more =
      every === SHARED ? '' : `${loss < shared.loss ? '−' : '+'}${Math.abs(loss - shared.loss).toFixed(3)}`;
    rows.push([String(ranks), String(every), loss.toFixed(3), more, `${megabytes.toFixed(3)} MB`]);
    process.stderr.write(`${rows.at(-1).join('  ')}\n`);
  };
  for (const ranks of numbersOf(values.ranks)) {
    const share = (2 * (ranks - 1)) / ranks;
    add(ranks, SHARED, { ...shared, megabytes: shared.megabytes * share });
    for (const every of [...numbersOf(values.every), ALONE]) add(ranks, every, await average(ranks, every));
  }
  const head = ['ranks', 'synchronized every', 'validation loss', 'more', 'sent by a rank per step'];
  process.stdout.write(`${markdown(head, rows)}\n`);
}

try {
  await main();
} catch (error) {
  fail(error);
}
