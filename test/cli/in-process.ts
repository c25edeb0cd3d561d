/**
 * Runs a command as test/cli/run.ts does, but in the process of the test: starting one costs more than most commands do. One at
 * a time.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { devNull, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { expect, vi } from 'vitest';
import { describeError, printReport } from '../../src/cli/errors.ts';
import { createProgram } from '../../src/cli/program.ts';
import { givenCommand, isShownHelp } from '../../src/cli/run.ts';
import { setForScript, setVerbosity } from '../../src/cli/terminal.ts';
import { run, type RunOptions, type RunResult } from './run.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface RunInProcess extends RunResult {
  /** The `code` of the error, if there was one: one of `errorCodes`, or the operating system's, or Commander's. */
  readonly errorCode: string | undefined;
  /** All that it prints, as it is. */
  readonly raw: string;
}

/** Output, folder and verbosity belong to the process. */
let isRunning = false;

/** What the command line prints, without colors, and exits with. @param cwd to run in */
export async function runInProcess(
  args: readonly string[],
  cwd = process.cwd(),
  stdin?: string,
): Promise<RunInProcess> {
  if (isRunning) throw new Error('another command is running in this process');
  const home = process.cwd();
  process.chdir(cwd);
  isRunning = true;
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  const restoreStdin = stdin === undefined ? () => {} : replaceStdin(stdin);
  const { exitCode } = process;
  process.exitCode = 0;
  let code: number | undefined;
  let errorCode: string | undefined;
  const program = createProgram();
  const listeners = new Set<unknown>(signals.flatMap((signal) => process.listeners(signal)));
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (isShownHelp(error)) {
      code = error.exitCode === 0 ? 0 : 2;
    } else {
      const report = describeError(error, givenCommand(program, args));
      printReport(report, error);
      code = report.exitCode;
    }
    ({ code: errorCode } = error as { readonly code?: string });
  } finally {
    for (const spy of spies) spy.mockRestore();
    code ??= process.exitCode;
    process.exitCode = exitCode;
    restoreStdin();
    process.chdir(home);
    isRunning = false;
    setVerbosity('normal');
    setForScript(false);
    // A process that fails ends; what it listened to goes with it.
    for (const signal of signals)
      for (const listener of process.listeners(signal))
        if (!listeners.has(listener)) process.off(signal, listener);
  }
  const [stdout, stderr] = [written.stdout, written.stderr].map(stripVTControlCharacters);
  return { stdout, stderr, code, signal: null, errorCode, raw: written.stdout + written.stderr };
}

/** Commands read stdin as a stream, or file descriptor 0 synchronously. @returns a function that undoes it */
function replaceStdin(text: string): () => void {
  const file = join(tmpdir(), `stdin-${process.pid}`);
  writeFileSync(file, text);
  reopenStdin(file);
  const original = Object.getOwnPropertyDescriptor(process, 'stdin')!;
  const stream = Readable.from(text === '' ? [] : [Buffer.from(text)]);
  Object.defineProperty(process, 'stdin', { ...original, get: () => stream });
  return () => {
    Object.defineProperty(process, 'stdin', original);
    reopenStdin(devNull);
  };
}

/** A file that is opened gets the lowest free descriptor. */
function reopenStdin(file: string): void {
  closeSync(0);
  const descriptor = openSync(file, 'r');
  if (descriptor !== 0) throw new Error(`${file} was opened as file descriptor ${descriptor}, not as 0`);
}

/**
 * Runs commands in a folder: in the process of the test, or in one of their own if they are given options other than the text
 * on stdin, such as a terminal or an environment.
 */
export const commandsIn =
  (folder: string) =>
  (line: string | readonly string[], options?: RunOptions): Promise<RunResult> => {
    const args = typeof line === 'string' ? line.split(' ') : line;
    const { stdin, ...others } = options ?? {};
    return Object.keys(others).length === 0
      ? runInProcess(args, folder, stdin)
      : run(args, { cwd: folder, ...options });
  };

/** How a command refuses its input. What must be mentioned is separated by ' … ', in any order. */
export type Refusal = readonly [exitCode: 1 | 2, errorCode: string, ...mentioned: readonly string[]];

/**
 * Runs a command that must fail: with this kind of error, in a message of one to three lines that mentions the given names and
 * values. An error code is one of `errorCodes`, or Commander's, or the operating system's.
 */
export async function expectRefusal(
  args: readonly string[],
  [exitCode, errorCode, ...mentioned]: Refusal,
  cwd?: string,
  stdin?: string,
): Promise<void> {
  const { stderr, ...rest } = await runInProcess(args, cwd, stdin);
  expect(rest, stderr).toMatchObject({ stdout: '', code: exitCode, errorCode });
  expect(stderr).toMatch(/^(.+\n)?error: .+\n(hint: .+\n)?$/); // perhaps after the name of the model that was chosen
  for (const text of mentioned.flatMap((texts) => texts.split(' … '))) expect(stderr).toContain(text);
}
