/**
 * `npm run test:soak -- --minutes 60`: trains for a long time with evaluations, samples and checkpoints, and watches the
 * process' memory and open files. Beside it, the same run goes on in pieces: interrupted or killed every now and then, and
 * resumed. In the end memory and handles must have stayed as they were after the first minute, and both runs must have
 * left the same bytes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } });
const minutes = Number(values.minutes);
if (!(minutes >= 2)) throw new Error('--minutes takes a number of at least 2: the first one is not judged');
if (process.platform !== 'linux')
  throw new Error('memory and open files are read from /proc, which only Linux has');

const root = mkdtempSync(join(tmpdir(), 'soak-'));
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const EVAL_INTERVAL = 20;
/** The model that `gpt train data/moby-dick.txt --minutes 60 --threads 1` chose on the computer of the README's measurements. */
const model =
  '--n-layer 6 --n-head 6 --n-embd 192 --block-size 128 --batch-size 11 --dropout 0.1 --threads 1';
const flags = (steps: number): string[] => [
  path('../../data/moby-dick.txt'),
  ...model.split(' '),
  ...`--eval-interval ${EVAL_INTERVAL} --eval-iters 5 --save-every 7`.split(' '),
  ...`--sample-tokens 50 --warmup-iters 100 --max-iters ${steps} --lr-decay-iters ${steps}`.split(' '),
];

interface Piece {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;
}

function train(args: readonly string[]): Piece {
  const child = spawn(process.execPath, [path('../../bin/gpt.js'), 'train', ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  const ended = new Promise<Awaited<Piece['ended']>>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stderr })),
  );
  return { child, ended };
}

/** Resident memory in bytes, and how many files and the like are open. */
function measure(pid: number): { memory: number; handles: number } | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return { memory: 1024 * Number(kilobytes), handles: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined; // it has ended
  }
}

/** Steps in a second, of two such runs beside each other. */
async function calibrate(): Promise<number> {
  const seconds = 30;
  const pieces = ['a', 'b'].map((name) => train([...flags(1e7), '-o', `calibrate-${name}`]));
  await sleep(1000 * seconds);
  for (const { child } of pieces) child.kill('SIGINT');
  await Promise.all(pieces.map(({ ended }) => ended));
  const lines = readFileSync(join(root, 'calibrate-a/metrics.jsonl'), 'utf8').trimEnd().split('\n');
  return (JSON.parse(lines.at(-1)!) as { step: number }).step / seconds;
}

/** The run in one piece, measured every second. */
async function watched(steps: number) {
  const { child, ended } = train([...flags(steps), '-o', 'whole']);
  const start = performance.now();
  const samples: { seconds: number; memory: number; handles: number }[] = [];
  const timer = setInterval(() => {
    const found = measure(child.pid!);
    if (found !== undefined) samples.push({ seconds: (performance.now() - start) / 1000, ...found });
  }, 1000);
  const end = await ended;
  clearInterval(timer);
  if (end.code !== 0) throw new Error(`the run failed: ${end.stderr}`);
  return { samples, seconds: (performance.now() - start) / 1000 };
}

/** The run in pieces of about a sixth: interrupted and killed by turns. */
async function inPieces(steps: number): Promise<number> {
  let pieces = 0;
  for (
    let args = [...flags(steps), '-o', 'pieces'];
    ;
    args = ['--resume', 'pieces', '--sample-tokens', '50', '--threads', '1']
  ) {
    const { child, ended } = train(args);
    const signal = pieces++ % 2 === 0 ? 'SIGINT' : 'SIGKILL';
    const timer = setTimeout(() => child.kill(signal), (1000 * 60 * minutes) / 6);
    const end = await ended;
    clearTimeout(timer);
    if (end.code === 0 || end.stderr.includes('the run has already completed')) return pieces;
    if (end.signal !== signal) throw new Error(`a piece failed: ${end.stderr}`);
  }
}

/** The means over each minute but the first, and the last if it is not whole. */
function byMinute(samples: readonly { readonly seconds: number; readonly memory: number }[]): number[] {
  const whole = Math.floor((samples.at(-1)?.seconds ?? 0) / 60);
  return Array.from({ length: Math.max(0, whole - 1) }, (_, i) => {
    const minute = samples.filter(({ seconds }) => Math.floor(seconds / 60) === i + 1);
    return minute.reduce((sum, { memory }) => sum + memory, 0) / minute.length;
  });
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const rate = await calibrate();
const wholeIntervals = Math.round((60 * minutes * rate) / EVAL_INTERVAL);
const steps = EVAL_INTERVAL * wholeIntervals + EVAL_INTERVAL / 2; // an end between two evaluations
say(`${steps} steps, ${rate.toFixed(1)} a second`);
const [{ samples, seconds }, pieces] = await Promise.all([watched(steps), inPieces(steps)]);

const means = byMinute(samples);
const meanOf = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0) / all.length;
const settled = means.slice(means.length >> 1);
const worst = Math.max(...settled.map((memory) => Math.abs(memory / meanOf(settled) - 1)));
const growth = Math.max(...means) / means[0] - 1;
const late = samples.filter((sample) => sample.seconds >= 60);
const handles = late.map((sample) => sample.handles);
const differing = differences(bytesOf(join(root, 'pieces')), bytesOf(join(root, 'whole')));
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

say(
  `time      ${(seconds / 60).toFixed(1)} minutes, ${steps} steps, ${wholeIntervals} evaluations with samples`,
);
say(`memory    minute by minute, but for the first: ${means.map(megabytes).join(', ')}`);
say(
  `          second half of these at most ${percent(worst)} off their mean; largest ${percent(growth)} above the earliest`,
);
say(
  `handles   ${Math.min(...handles)} to ${Math.max(...handles)} open files; ${handles[0]} after a minute, ${handles.at(-1)} at the end`,
);
say(
  `pieces    ${pieces}, interrupted and killed by turns; ${differing.length === 0 ? 'the same bytes' : `other bytes in ${differing.join(', ')}`}`,
);

// Memory that is given back is no leak; memory that grows is.
const isFlat = worst <= 0.01 && growth <= 0.01;
const isTight = Math.max(...handles.slice(-10)) <= Math.max(...handles.slice(0, 10));
if (differing.length === 0) rmSync(root, { recursive: true });
else say(`kept: ${root}`);
process.exitCode = isFlat && isTight && differing.length === 0 ? 0 : 1;
say(process.exitCode === 0 ? 'passed' : 'FAILED');
