/**
 * Shared code of the benchmarks. Every contender is a separate process that reads a number of steps or tokens from stdin and
 * answers with a line of JSON: { seconds, … }. The driver alternates them, so that other load affects all of them alike, and
 * takes medians.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../dist/median.js';
import './own-node.js';

export { median };

/** @returns {{ rounds: number, python: string, corpus: string, models: string[] }} */
export function readArguments(defaults = {}) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: defaults.rounds ?? '5' },
      python: { type: 'string', default: '.venv/bin/python' },
      corpus: { type: 'string', default: 'data/moby-dick.txt' },
    },
  });
  return { ...values, rounds: Number(values.rounds), models: positionals };
}

const path = (file) => fileURLToPath(new URL(`contenders/${file}`, import.meta.url));
const flagsOf = (flags) =>
  Object.entries(flags).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );

/** This program. @param what 'train', 'sample', 'tokenize' or 'peak' */
export const gpt = (what, flags) => start('gpt', process.execPath, [path('gpt.js'), what, ...flagsOf(flags)]);

/** This program as ranks of a launcher. @param launcher its command line; none for a single process */
export const ranksOf = (name, launcher, flags) => {
  const [command, ...args] = [...launcher, process.execPath, path('gpt_ranks.js'), ...flagsOf(flags)];
  return start(name, command, args);
};

/** A Python script of contenders/. */
export const python = (name, interpreter, script, flags) =>
  start(name, interpreter, [path(script), ...flagsOf(flags)]);

/** Starts a contender and waits until it is warm. */
async function start(name, command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', process.env.DEBUG ? 'inherit' : 'pipe'] });
  let errors = '';
  child.stderr?.on('data', (text) => (errors = (errors + text).slice(-2000)));
  const failed = new Promise((_resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`${name} cannot be started: ${command}`, { cause })));
    child.once('close', (code) => {
      const last = errors.trim().split('\n').at(-1) || 'no message';
      reject(new Error(`${name} ended with exit code ${code}: ${last}; DEBUG=1 shows all`));
    });
  });
  failed.catch(() => {}); // reported to whoever awaits the contender
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = ({ done, value }) => (done ? failed : JSON.parse(value));
  const next = () => Promise.race([failed, lines.next().then(answer)]);
  const { ready } = await next();
  return {
    name,
    /** Its first line, printed after the warm-up: versions, threads. */
    ready,
    run(count) {
      child.stdin.write(`${count}\n`);
      return next();
    },
    close: () => new Promise((resolve) => child.once('exit', resolve).kill()),
  };
}

/**
 * Alternates contenders; returns the answers of each.
 *
 * @param counts steps or tokens of each per round
 */
export async function alternate(contenders, counts, rounds) {
  const answers = contenders.map(() => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, contender] of contenders.entries()) answers[i].push(await contender.run(counts[i]));
  return answers;
}

/** The median of one field over the rounds. */
export const medianOf = (answers, field) => median(answers.map((answer) => answer[field]));

/** A Markdown table. */
export const markdown = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

export const count = (value) => Math.round(value).toLocaleString('en-US');
export const times = (ratio) => `${ratio.toFixed(ratio < 10 ? 2 : 1)}×`;

/** Runs a benchmark if its file is the program that was started; prints its rows as a table. */
export async function main(url, measure) {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const rows = await measure(readArguments(), (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${tableOf(rows)}\n`);
}

/** Markdown table of a benchmark's rows: { work, ours, rival, ratio, target, met }. */
export const tableOf = (rows) =>
  markdown(
    ['work', 'gpt', 'against', 'ratio', 'target'],
    rows.map(({ work, ours, rival, ratio, target }) => [work, ours, rival, ratio, target]),
  );
