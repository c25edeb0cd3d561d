/** Complete training runs, with this program and in PyTorch, for benchmarks of the loss that a run reaches. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The launcher of this checkout. */
export const thisGpt = fileURLToPath(new URL('../bin/gpt.js', import.meta.url));

/** Polling interval of a running process, in milliseconds. */
const WATCH_INTERVAL = 20;

/**
 * Runs a process to its end and returns the JSON lines of its stdout.
 *
 * @param watch called every 20 ms while it runs; returns true to end it
 */
async function jsonLines(name, command, args, watch = () => false) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Error(`${name} cannot be started: ${command}`, { cause })));
    child.once('close', resolve);
  });
  ended.catch(() => {}); // awaited below, after the last line
  let isStopped = false;
  const timer = setInterval(() => {
    if (isStopped || !watch()) return;
    isStopped = true;
    child.kill();
  }, WATCH_INTERVAL);
  try {
    const found = [];
    for await (const line of createInterface({ input: child.stdout })) found.push(JSON.parse(line));
    const code = await ended;
    if (code !== 0 && !isStopped) throw new Error(`${name} ended with exit code ${code}`);
    return found;
  } finally {
    clearInterval(timer);
  }
}

/**
 * Trains with `gpt train FLAGS -o OUT`.
 *
 * @returns the output of `--json`, and `firstStep`: seconds from process start to the end of the first step
 */
export async function trainGpt(gpt, flags, out, watch = () => false) {
  const started = performance.now();
  let firstStep;
  const lines = await jsonLines('gpt train', process.execPath, trainCommand(gpt, flags, out), () => {
    if (firstStep === undefined && existsSync(join(out, 'metrics.jsonl')))
      firstStep = (performance.now() - started) / 1000;
    return watch();
  });
  return { ...lines.at(-1), firstStep };
}

/**
 * Trains with `gpt train FLAGS -o OUT` on several ranks.
 *
 * @param launcher mpirun and its arguments
 * @returns the output of `--json`
 */
export async function trainOnRanks([mpirun, ...given], ranks, flags, out) {
  const command = [...given, '-n', String(ranks), process.execPath, ...trainCommand(thisGpt, flags, out)];
  return (await jsonLines('gpt train', mpirun, command)).at(-1);
}

const trainCommand = (gpt, flags, out) => [gpt, 'train', ...flags, '--json', '--quiet', '-o', out];

/** `gpt eval FLAGS --json`: nats per token, bits per byte and, with --baselines, those of the baselines. */
export async function evaluateGpt(gpt, model, flags) {
  const args = [gpt, 'eval', ...flags, '-m', model, '--json', '--quiet'];
  return (await jsonLines('gpt eval', process.execPath, args)).at(-1);
}

/** The log of a run, one object per line. */
export const readLog = (run, name) => {
  const path = join(run, `${name}.jsonl`);
  if (!existsSync(path)) return [];
  // The last line may be incomplete while the run is in progress.
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
};

/** Cumulative time of a run's steps in seconds, interpolated from speed.jsonl. Evaluations are not included. */
export function stepClock(run) {
  const points = [{ step: 0, seconds: 0 }];
  for (const { step, seconds } of readLog(run, 'speed')) {
    const before = points.at(-1);
    points.push({ step, seconds: before.seconds + seconds });
  }
  return (step) => {
    const next = Math.max(
      1,
      points.findIndex((point) => point.step >= step),
    );
    const [a, b] = [points[next - 1], points[next]];
    return a.seconds + ((b.seconds - a.seconds) * (step - a.step)) / (b.step - a.step);
  };
}

/** @returns the version of PyTorch. @throws Error if the interpreter or the package is missing */
export function torchVersion(python) {
  try {
    return execFileSync(python, ['-c', 'import torch; print(torch.__version__)'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  } catch (error) {
    const why =
      error.code === 'ENOENT'
        ? `there is no Python at ${python}`
        : `${python} cannot import torch: ${String(error.stderr).trim().split('\n').at(-1)}`;
    throw new Error(
      `${why}\nhint: install PyTorch in a virtual environment and pass --python ENV/bin/python`,
      {
        cause: error,
      },
    );
  }
}

/** Trains with contenders/pytorch_minutes.py, and returns its last line. */
export async function trainPytorch(python, corpus, flags) {
  const script = fileURLToPath(new URL('contenders/pytorch_minutes.py', import.meta.url));
  return (await jsonLines('pytorch_minutes.py', python, [script, corpus, ...flags])).at(-1);
}

export { fail, WrongUsage } from './failure.js';

export const mean = (numbers) => numbers.reduce((a, b) => a + b) / numbers.length;
