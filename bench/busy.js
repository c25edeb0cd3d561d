/**
 * Speed on a busy computer: training and sampling with the default number of threads and with one, and PyTorch's training on
 * one thread and on all (the faster counts). Each is measured alone, beside busy loops on half of the cores and on all, and
 * beside another training run.
 *
 *     npm run build && node bench/busy.js [nano|baby …] [--rounds 5] [--python .venv/bin/python]
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { benchModels } from '../dist/measure/models.js';
import { alternate, count, gpt, markdown, medianOf, python, readArguments, times } from './common.js';
import { machine } from './machine.js';
import { shapeFlags, titles } from './training.js';

const cores = availableParallelism();
/** Steps, or texts of 63 tokens, per round: about a second. */
const steps = { nano: 20, baby: 2 };
/** PyTorch's steps per round; with more threads than free cores, each takes seconds. */
const rivalSteps = { nano: 5, baby: 1 };
const texts = 300;
const tokens = 63;

/** Starts processes that keep this many cores busy; returns a function that ends them. */
function busyLoops(loops) {
  const children = Array.from({ length: loops }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  return () => Promise.all(children.map((child) => new Promise((end) => child.once('exit', end).kill())));
}

/** Starts another `gpt train` with the default number of threads; returns a function that ends it. */
async function anotherTraining() {
  const other = await gpt('train', { model: 'nano' });
  other.run(1e9).catch(() => {}); // ends when it is killed
  return () => other.close();
}

const half = Math.max(1, Math.floor(cores / 2));
const loopsTitle = (n) => `beside ${n} busy loop${n === 1 ? '' : 's'}`;
/** @type {[string, () => (() => unknown) | Promise<() => unknown>][]} */
const circumstances = [
  ['alone', () => () => {}],
  [loopsTitle(half), () => busyLoops(half)],
  [loopsTitle(cores), () => busyLoops(cores)],
  ['beside another training', anotherTraining],
];

/** Alternates the contenders in each of the circumstances; returns their median seconds per step or text. */
async function measure(contenders, amounts, rounds) {
  const results = [];
  for (const [title, start] of circumstances) {
    const end = await start();
    const answers = await alternate(contenders, amounts, rounds);
    await end();
    results.push({ title, seconds: answers.map((each, i) => medianOf(each, 'seconds') / amounts[i]) });
  }
  for (const contender of contenders) await contender.close();
  return results;
}

async function trainingRows(name, { rounds, python: interpreter }, log) {
  const model = benchModels[name];
  const flags = { ...shapeFlags(model), batch: model.batchSize };
  const rivals = [...new Set([1, cores])];
  const contenders = [await gpt('train', { model: name }), await gpt('train', { model: name, threads: 1 })];
  for (const threads of rivals)
    contenders.push(await python('PyTorch', interpreter, 'pytorch_train.py', { ...flags, threads }));
  const amounts = [steps[name], steps[name], ...rivals.map(() => rivalSteps[name])];
  const perStep = model.batchSize * model.config.blockSize;
  return (await measure(contenders, amounts, rounds)).map(({ title, seconds }) => {
    const [ours, single, ...others] = seconds;
    const rival = Math.min(...others);
    log(`training ${name}, ${title}: ${seconds.map((s) => (1000 * s).toFixed(1)).join(' ')} ms a step`);
    const rivalText = `${count(perStep / rival)} (${rivals[others.indexOf(rival)]} thread${rival === others[0] ? '' : 's'})`;
    return [
      `training, ${titles[name]}, ${title}`,
      count(perStep / ours),
      count(perStep / single),
      times(single / ours),
      rivalText,
      times(rival / ours),
    ];
  });
}

async function samplingRows(name, { rounds }, log) {
  const contenders = [
    await gpt('sample', { model: name, tokens }),
    await gpt('sample', { model: name, tokens, threads: 1 }),
  ];
  return (await measure(contenders, [texts, texts], rounds)).map(({ title, seconds: [ours, single] }) => {
    log(`sampling ${name}, ${title}: ${(1000 * ours).toFixed(2)} ${(1000 * single).toFixed(2)} ms a text`);
    const rate = (seconds) => count(tokens / seconds);
    return [`sampling, ${titles[name]}, ${title}`, rate(ours), rate(single), times(single / ours), '', ''];
  });
}

const options = readArguments();
const log = (line) => process.stderr.write(`${line}\n`);
const names = options.models.length > 0 ? options.models : Object.keys(steps);
const rows = [];
for (const name of names) rows.push(...(await trainingRows(name, options, log)));
if (names.includes('nano')) rows.push(...(await samplingRows('nano', options, log)));
const { processor, node } = machine();
process.stdout
  .write(`${processor}, ${cores} cores; Node ${node}; tokens a second, medians of ${options.rounds} rounds.

${markdown(['work', 'gpt', 'gpt --threads 1', 'ratio', 'PyTorch', 'ratio'], rows)}
`);
