/**
 * Runs a command as test/cli/run.ts does, but in the process of the test: starting one costs more than most commands do. Not
 * for commands that read stdin, and one at a time.
 */
import { stripVTControlCharacters } from 'node:util';
import { expect, vi } from 'vitest';
import { describeError, printReport } from '../../src/cli/errors.ts';
import { createProgram } from '../../src/cli/program.ts';
import { givenCommand } from '../../src/cli/run.ts';
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
export async function runInProcess(args: readonly string[], cwd = process.cwd()): Promise<RunInProcess> {
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
  let code = 0;
  let errorCode: string | undefined;
  const program = createProgram();
  const listeners = new Set<unknown>(signals.flatMap((signal) => process.listeners(signal)));
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    const report = describeError(error, givenCommand(program, args));
    printReport(report, error);
    code = report.exitCode;
    ({ code: errorCode } = error as { readonly code?: string });
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.chdir(home);
    isRunning = false;
    // A process that fails ends; what it listened to goes with it.
    for (const signal of signals)
      for (const listener of process.listeners(signal))
        if (!listeners.has(listener)) process.off(signal, listener);
  }
  const [stdout, stderr] = [written.stdout, written.stderr].map(stripVTControlCharacters);
  return { stdout, stderr, code, signal: null, errorCode, raw: written.stdout + written.stderr };
}

/**
 * Runs commands in a folder: in the process of the test, or in one of their own if they are given options, such as stdin, a
 * terminal or an environment.
 */
export const commandsIn =
  (folder: string) =>
  (line: string | readonly string[], options?: RunOptions): Promise<RunResult> => {
    const args = typeof line === 'string' ? line.split(' ') : line;
    return options === undefined ? runInProcess(args, folder) : run(args, { cwd: folder, ...options });
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
): Promise<void> {
  const { stderr, ...rest } = await runInProcess(args, cwd);
  expect(rest, stderr).toMatchObject({ stdout: '', code: exitCode, errorCode });
  expect(stderr).toMatch(/^(.+\n)?error: .+\n(hint: .+\n)?$/); // perhaps after the name of the model that was chosen
  for (const text of mentioned.flatMap((texts) => texts.split(' … '))) expect(stderr).toContain(text);
}
