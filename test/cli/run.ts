/** Runs the compiled command line as a user would: in a process of its own. */
import { spawn, spawnSync } from 'node:child_process';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export const gpt = path('../../bin/gpt.js');
/** The frame round commands that exist for tests only. */
export const throwawayProgram = path('throwaway-program.js');

export interface RunOptions {
  /** The script to run; the real `gpt` if not given. */
  script?: string;
  stdin?: string;
  /** Added to the environment; undefined takes a variable out. Colors are at their defaults unless asked for here. */
  env?: Readonly<Record<string, string | undefined>>;
  /** The Node to run on; the one that runs the tests if not given. */
  node?: string;
  cwd?: string;
  /** Gives the process a terminal 80 columns wide. What it writes to stderr is then in `stdout` too. Needs `hasTerminal`. */
  tty?: boolean;
  /** With `tty`: what to type as soon as a text has appeared. */
  keys?: readonly (readonly [after: string, type: string])[];
  /** Called with all output so far whenever there is more, to send signals at the right time. */
  onOutput?: (output: string, signal: (name: NodeJS.Signals) => void) => void;
  /** Gets stdin, which is then left open, instead of `stdin` being written to it. */
  feed?: (stdin: Writable, signal: (name: NodeJS.Signals) => void) => void;
}

export interface RunResult {
  stdout: string;
  stderr: string;
  /** Null if a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Pseudo-terminals are available, which takes Python's pty module. */
export const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;

export function run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  let command = [options.node ?? process.execPath, options.script ?? gpt, ...args];
  if (options.tty) {
    const keys = (options.keys ?? []).flatMap(([after, type]) => ['--type', after, type]);
    command = ['python3', path('with-terminal.py'), ...keys, '--', ...command];
  }
  const [file = '', ...rest] = command;
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: {
      ...process.env,
      CI: undefined,
      NO_COLOR: undefined,
      FORCE_COLOR: undefined,
      NODE_OPTIONS: undefined,
      TERM: 'xterm-256color',
      GPT_STARTED_AS: 'gpt', // what advice is written with
      ...options.env,
    },
  });
  const result = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      result[name] += text;
      options.onOutput?.(result.stdout + result.stderr, (signal) => child.kill(signal));
    });
  }
  child.stdin.on('error', () => {}); // a program need not read what it is given
  if (options.feed === undefined) child.stdin.end(options.stdin ?? '');
  else options.feed(child.stdin, (signal) => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ ...result, code, signal }));
  });
}

/** Runs a line of bash in which `gpt` and `throwaway` are the two programs. */
export function shell(line: string): Promise<RunResult> {
  const script = `${shellFunction('gpt', gpt)} ${shellFunction('throwaway', throwawayProgram)} ${line}`;
  return run(['-c', script], { node: 'bash', script: '--norc' });
}

const shellFunction = (name: string, script: string): string =>
  `${name}() { '${process.execPath}' '${script}' "$@"; };`;
