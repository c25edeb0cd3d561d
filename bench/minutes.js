/**
 * Validation loss after a number of minutes: `gpt train TEXT --minutes M` beside PyTorch with nanoGPT's CPU recipe and PyTorch
 * with the best recipe found for GPT-2 and AdamW. All train on characters and all cores, one after the other. Losses are over
 * the whole validation split in adjacent windows, as in `gpt eval --split val`.
 *
 *     npm run build && node bench/minutes.js TEXT [--minutes 1,3] [--seeds 1,2,3] [--target 1.88] [--only NAME]…
 *       [--gpt-flags='--arch qwen3'] [--pytorch-flags='--learning-rate 4e-3'] [--python .venv/bin/python] [--gpt bin/gpt.js]
 *
 * Time counts from process start. For `gpt` it includes evaluations, checkpoints and the final evaluation of the whole split;
 * PyTorch's clock is stopped during evaluations, so it trains a little longer. PyTorch's loss is the lowest of 50 evaluations
 * of the whole split, as if its best checkpoint were known; that of `gpt` is the loss of the saved model.
 *
 * With --target, also the time until that loss is first reached: start-up and steps, without evaluations. Intermediate losses
 * of `gpt` come from a bit-identical repetition of its run with 50 evaluations of the whole split. Since the schedule depends
 * on the length of the run, the fastest run of all lengths in --minutes counts.
 *
 * Takes minutes × seeds × 3 (× 4 with --target), plus up to a minute per run of PyTorch for its evaluations. --only gpt
 * needs no Python; --only may be repeated. --gpt-flags and --pytorch-flags (of the tuned recipe) are added to the commands, to
 * try a recipe.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdown } from './common.js';
import { machine } from './machine.js';
import {
  evaluateGpt,
  fail,
  mean,
  readLog,
  stepClock,
  thisGpt,
  torchVersion,
  trainGpt,
  trainPytorch,
  WrongUsage,
} from './runs.js';

/** Number of evaluations in a PyTorch run, and in the repetition of a `gpt` run that finds when it reached the target. */
const EVALUATIONS = 50;

/** The CPU recipe of nanoGPT's README: 4 layers, no biases, cosine decay to a tenth over the whole run. */
const nanoGpt =
  '--layers 4 --heads 4 --channels 128 --block 64 --batch 12 --learning-rate 1e-3 --min-lr 1e-4';

/**
 * GPT-2 and AdamW, by minutes. The first row is the best of the experiments in docs/recipe.md: three times the learning rate,
 * twice the context, a constant rate that decays to 0. Larger models have the sizes and learning rates that `gpt train` chose
 * for GPT-2.
 */
const tunedFrom = [
  [0, '--layers 4 --heads 4 --channels 128 --batch 6 --learning-rate 3e-3'],
  [3, '--layers 4 --heads 4 --channels 128 --batch 8 --learning-rate 3e-3'],
  [10, '--layers 4 --heads 6 --channels 192 --batch 12 --learning-rate 2.4e-3 --dropout 0.1'],
  [60, '--layers 6 --heads 6 --channels 384 --batch 16 --learning-rate 1.7e-3 --dropout 0.2'],
];
const tuned = (minutes) =>
  `--bias --block 128 --min-lr 0 --schedule wsd ${tunedFrom.findLast(([from]) => minutes >= from)[1]}`;

const numbers = (list) => list.split(',').map(Number);

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      minutes: { type: 'string', default: '3' },
      seeds: { type: 'string', default: '1,2,3' },
      target: { type: 'string' },
      only: { type: 'string', multiple: true, default: [''] },
      python: { type: 'string', default: '.venv/bin/python' },
      gpt: { type: 'string', default: thisGpt },
      'gpt-flags': { type: 'string', default: '' },
      'pytorch-flags': { type: 'string', default: '' },
    },
  });
  const options = {
    ...values,
    text: positionals[0],
    minutes: numbers(values.minutes),
    seeds: numbers(values.seeds),
    target: values.target === undefined ? undefined : Number(values.target),
  };
  const given = [...options.minutes, ...options.seeds, options.target ?? 0];
  if (positionals.length !== 1 || given.some((number) => !(number >= 0)))
    throw new WrongUsage(
      'usage: node bench/minutes.js TEXT [--minutes 1,3] [--seeds 1,2,3] [--target 1.88] [--only NAME]…',
    );
  return options;
}

const words = (flags) => flags.split(' ').filter((word) => word !== '');

/** Trains with the defaults of `gpt train`. */
async function runGpt({ text, gpt, target, 'gpt-flags': flags }, { minutes, seed }, folder) {
  const run = join(folder, 'run');
  const given = [text, '--minutes', String(minutes), '--seed', String(seed), ...words(flags)];
  const { steps, firstStep } = await trainGpt(gpt, given, run);
  const {
    tokens,
    nats_per_token: loss,
    bits_per_byte: bits,
  } = await evaluateGpt(gpt, run, ['--split', 'val']);
  const reached =
    target === undefined ? undefined : await timeOfGpt(gpt, { run, steps, firstStep, tokens, target });
  return { loss, bits_per_byte: bits, steps, reached };
}

/** Repeats a run with evaluations of the whole split until one is at most `target`; returns the run's seconds until then. */
async function timeOfGpt(gpt, { run, steps, firstStep, tokens, target }) {
  const again = `${run}-again`;
  const state = readFileSync(join(run, `checkpoint-${steps}`, 'gpt_trainer_state.json'), 'utf8');
  const { batchSize, blockSize } = JSON.parse(state).options;
  // Enough batches for the evaluation sample to be the whole split.
  const batches = Math.ceil((tokens - 1) / blockSize / batchSize);
  const interval = Math.max(1, Math.round(steps / EVALUATIONS));
  const flags = `--eval-interval ${interval} --eval-iters ${batches} --patience 0 --save-every 0 --sample-tokens 0`;
  const crossing = () => readLog(again, 'metrics').find(({ val_loss_estimate: loss }) => loss <= target);
  await trainGpt(gpt, ['--config', run, ...words(flags)], again, () => crossing() !== undefined);
  const found = crossing();
  if (found === undefined) return undefined;
  const clock = stepClock(run);
  return firstStep + clock(found.step) - clock(1);
}

const pytorch =
  (recipe) =>
  (options, { minutes, seed }) => {
    const target = options.target === undefined ? [] : ['--target', String(options.target)];
    const flags = [
      '--minutes',
      String(minutes),
      '--seed',
      String(seed),
      ...words(recipe(minutes, options)),
      ...target,
    ];
    return trainPytorch(options.python, options.text, flags);
  };

const contenders = {
  gpt: runGpt,
  "PyTorch, nanoGPT's recipe": pytorch(() => nanoGpt),
  'PyTorch, tuned recipe': pytorch((minutes, options) => `${tuned(minutes)} ${options['pytorch-flags']}`),
};

/** Runs all contenders; each run is reported on stderr when it ends. */
async function measure(options, names) {
  const folder = mkdtempSync(join(tmpdir(), 'minutes-'));
  const found = [];
  try {
    for (const minutes of options.minutes)
      for (const seed of options.seeds)
        for (const name of names) {
          const result = await contenders[name](options, { minutes, seed }, folder);
          found.push({ name, minutes, seed, ...result });
          process.stderr.write(`${JSON.stringify(found.at(-1))}\n`);
          for (const run of ['run', 'run-again']) rmSync(join(folder, run), { recursive: true, force: true });
        }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return found;
}

/** A row per contender and number of minutes, with the loss of every seed. */
function lossTable(found, { minutes, seeds }, names) {
  const rows = minutes.flatMap((m) =>
    names.map((name) => {
      const runs = found.filter((run) => run.minutes === m && run.name === name);
      const losses = runs.map(({ loss }) => loss);
      const bits = mean(runs.map((run) => run.bits_per_byte));
      const steps = Math.round(mean(runs.map((run) => run.steps))).toLocaleString('en-US');
      return [
        m,
        name,
        ...losses.map((loss) => loss.toFixed(3)),
        mean(losses).toFixed(3),
        bits.toFixed(3),
        steps,
      ];
    }),
  );
  const columns = seeds.map((seed) => `seed ${seed}`);
  return markdown(['minutes', 'contender', ...columns, 'mean', 'bits per byte', 'steps'], rows);
}

/** A row per contender: for every seed, the seconds of its fastest run. */
function timeTable(found, { seeds, target }, names) {
  const rows = names.map((name) => {
    const times = seeds.map((seed) => {
      const runs = found.filter((run) => run.name === name && run.seed === seed);
      return Math.min(...runs.map(({ reached }) => reached ?? Infinity));
    });
    return [
      name,
      ...[...times, mean(times)].map((time) => (time === Infinity ? 'never' : `${time.toFixed(1)} s`)),
    ];
  });
  return markdown([`time to ${target}`, ...seeds.map((seed) => `seed ${seed}`), 'mean'], rows);
}

try {
  const options = readOptions();
  const names = Object.keys(contenders).filter((name) => options.only.some((part) => name.includes(part)));
  if (names.length === 0)
    throw new WrongUsage(
      `--only ${options.only.join(' --only ')} is none of: ${Object.keys(contenders).join('; ')}`,
    );
  const torch = names.some((name) => name !== 'gpt') ? `; PyTorch ${torchVersion(options.python)}` : '';
  const { processor, cores } = machine();
  const found = await measure(options, names);
  process.stdout.write(`${processor}, ${cores} cores${torch}\n\n${lossTable(found, options, names)}\n`);
  if (options.target !== undefined) process.stdout.write(`\n${timeTable(found, options, names)}\n`);
} catch (error) {
  fail(error);
}
