/** The runs that are killed, and what each leaves when nobody disturbs it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Tiny, so that most of the time goes into checkpoints: there are 30 or more of them in a run. */
const tiny = '--n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --batch-size 2 --threads 1 --eval-iters 1 -q';

export interface Scenario {
  readonly name: string;
  /** The program, without the folder. */
  readonly command: readonly string[];
  /** What it is given to start in a folder, and to go on there. */
  readonly start: (folder: string) => readonly string[];
  readonly resume: (folder: string) => readonly string[];
  /** Starts from a copy of FINISHED, which is resumed. */
  readonly isExtension?: true;
}

/** A run that has come to its end. */
const FINISHED = 'finished';

const gpt = path('../../bin/gpt.js');
const cli = (name: string, flags: string): Scenario => ({
  name,
  command: [gpt, 'train'],
  start: (folder) => [...`${flags} ${tiny}`.split(' '), '--overwrite', '-o', folder],
  resume: (folder) => ['--resume', folder, '--threads', '1', '-q'],
});

export const scenarios: readonly Scenario[] = [
  cli(
    'AdamW, dropout, accumulated gradients',
    'corpus.txt --max-iters 40 --save-every 1 --eval-interval 4 --dropout 0.2 --gradient-accumulation-steps 2',
  ),
  cli(
    'SGD, an average of the weights, a validation file, an end between evaluations',
    'corpus.txt --val-file other.txt --max-iters 41 --save-every 2 --eval-interval 3 --optimizer sgd --schedule linear --ema-decay 0.9',
  ),
  cli(
    'low-rank adapters of a finished run',
    `corpus.txt --init-from ${FINISHED} --lora-rank 2 --lora-dropout 0.1 --max-iters 40 --save-every 1 --eval-interval 4`,
  ),
  cli(
    'words of documents, no evaluations',
    'corpus.txt --documents lines --tokenizer word --max-iters 40 --save-every 1 --eval-interval 0',
  ),
  {
    ...cli('an extension: re-warm-up, plateau and decay', ''),
    isExtension: true,
    resume: (folder) => ['--resume', folder, '--max-iters', '60', '--threads', '1', '-q'],
  },
  {
    name: 'divergence, and returns to a checkpoint',
    command: [path('train-with-faults.js')],
    start: (folder) => ['start', folder],
    resume: (folder) => ['resume', folder],
  },
];

/** Writes the corpora, and trains the run that is extended. */
export function prepare(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
  const text = (a: number): string =>
    Array.from({ length: 200 }, (_, i) => `${words[(i * i + a * i) % 10]} ${words[(i * 7) % 10]}.\n`).join(
      '',
    );
  writeFileSync(join(folder, 'corpus.txt'), text(3));
  writeFileSync(join(folder, 'other.txt'), text(5));
  const flags = `corpus.txt --max-iters 20 --save-every 1 --eval-interval 4 --schedule wsd ${tiny}`;
  execFileSync(process.execPath, [gpt, 'train', ...flags.split(' '), '-o', FINISHED], { cwd: folder });
}

/** Makes the folder of a run, in which `launch` starts a scenario. */
export function makeFolder(scenario: Scenario, folder: string, cwd: string): void {
  if (scenario.isExtension) cpSync(join(cwd, FINISHED), folder, { recursive: true });
  else mkdirSync(folder);
}

/** Starts the program of a scenario in a folder, or goes on there if it has a checkpoint. */
export function launch(
  scenario: Scenario,
  folder: string,
  cwd: string,
): { child: ChildProcess; ended: Promise<Ended> } {
  const hasCheckpoint =
    existsSync(folder) && readdirSync(folder).some((file) => /^checkpoint-\d+$/.test(file));
  const args = hasCheckpoint ? scenario.resume(folder) : scenario.start(folder);
  const child = spawn(process.execPath, [...scenario.command, ...args], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  return { child, ended };
}

/** Whether a run has come to its end; it may have been killed between its last line and the end of its process. */
export const isDone = ({ code, stderr }: Ended): boolean =>
  (code === 0 && stderr === '') || (code !== null && stderr.includes('the run has already completed'));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}
