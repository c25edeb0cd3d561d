/** Runs the program from arguments to exit code; the only place where it exits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, CommanderError } from 'commander';
import { describeError, printReport, type ErrorReport } from './errors.ts';
import type { GivenCommand } from './foreign-flags.ts';
import { Interrupted, raise } from './interrupt.ts';
import { followerName, mayWaitFor } from './launched.ts';
import { connectToFail, exit } from './connected-ranks.ts';
import { endLiveLine, flush, loseReader } from './terminal.ts';

/** In milliseconds. Time for rank 0 to report the same error and end all ranks, since most errors occur on every rank. */
const FOLLOWER_WAITS = 1000;

/** Runs the program and handles every way it can end. */
export async function run(program: Command, args: readonly string[]): Promise<void> {
  let failed = false;
  const fail = async (error: unknown): Promise<void> => {
    if (failed) return; // errors during shutdown follow from the first one
    failed = true;
    await finish(error, givenCommand(program, args));
  };
  process.on('uncaughtException', (error) => void fail(error));
  process.stdout.on('error', (error) => {
    if (isBrokenPipe(error) && loseReader()) return;
    void fail(Object.assign(error, { path: 'standard output' }));
  });
  // Notices that nobody reads are no reason to stop working.
  process.stderr.on('error', () => {});
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (isShownHelp(error)) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else await fail(error);
  }
}

/** commander also throws for `--help`, `--version`, and `gpt` alone, which shows the help on stderr. */
export const isShownHelp = (error: unknown): error is CommanderError =>
  error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help');

/**
 * Ends the process after an error. It must exit explicitly, because threads and timers may be alive, but not before the
 * streams are drained, because exiting would truncate output to a pipe.
 */
async function finish(error: unknown, command: GivenCommand): Promise<void> {
  if (isBrokenPipe(error)) exit(0); // `gpt … | head -1`: the reader has what it wanted
  const report = error instanceof Interrupted ? undefined : describeError(error, command);
  endLiveLine();
  if (report !== undefined) await print(report, error, command);
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  if (error instanceof Interrupted) raise(error.signal);
  else exit(report!.exitCode);
}

/** Prints the error, after that of rank 0. Ranks other than 0 say which one they are. */
async function print(report: ErrorReport, error: unknown, command: GivenCommand): Promise<void> {
  const name = followerName();
  if (name === undefined) printReport(report, error);
  if (mayWaitFor(command)) await connectToFail();
  if (name === undefined) return;
  await sleep(FOLLOWER_WAITS);
  printReport({ ...report, message: `${name}: ${report.message}` }, error);
}

const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EPIPE';

/** The command that was entered, as far as known. @param args the whole command line */
export function givenCommand(program: Command, args: readonly string[]): GivenCommand {
  const names = [program.name()];
  let command = program;
  for (;;) {
    const sub = command.commands.find((each) => each.name() === command.args[0]);
    if (sub === undefined) break;
    command = sub;
    names.push(sub.name());
  }
  const flags = command.options.flatMap(({ long }) => (long == null ? [] : [long.replace(/^--/, '')]));
  return { line: names.join(' '), flags, args: args.slice(args.indexOf(command.name()) + 1) };
}
