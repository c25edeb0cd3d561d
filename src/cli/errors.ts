/** Messages and exit codes of errors: 1 failure, 2 wrong usage. */
import { inspect } from 'node:util';
import { CommanderError } from 'commander';
import { isSystemError, UsageError, UserError, type SystemError } from '../errors.ts';
import { commandLineTerms } from './command-line-terms.ts';
import { asStarted } from './command-name.ts';
import { commandFor } from './foreign-commands.ts';
import { hintForFlag, type GivenCommand } from './foreign-flags.ts';
import { printable, printableLine, printError, printMessage, stderrColors } from './terminal.ts';

export interface ErrorReport {
  readonly exitCode: number;
  readonly message: string;
  readonly hint: string | undefined;
}

/**
 * The message for any exception.
 *
 * @param command that was running
 */
export function describeError(error: unknown, command: GivenCommand): ErrorReport {
  const { line: commandLine } = command;
  if (error instanceof CommanderError) return describeCommanderError(error, command);
  if (isExpected(error)) {
    const { message, hint } = describeExpected(error);
    return error instanceof UsageError
      ? { exitCode: 2, message, hint: hint ?? seeHelp(commandLine) }
      : { exitCode: 1, message, hint };
  }
  const summary = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error);
  return {
    exitCode: 1,
    message: `internal error: ${summary.split('\n')[0]}`,
    hint: process.argv.includes('--debug')
      ? 'this is a bug; please report it with the lines below'
      : 'this is a bug; the same command with --debug shows where',
  };
}

/** An error that is not a bug; an interactive session survives it. */
export type Expected = UserError | SystemError;

export const isExpected = (error: unknown): error is Expected =>
  error instanceof UserError || isSystemError(error);

/** The message for an error that is not a bug, with its cause. */
export function describeExpected(error: Expected): Pick<ErrorReport, 'message' | 'hint'> {
  if (!(error instanceof UserError)) return { message: describeSystemError(error), hint: undefined };
  const { message, hint } = error.in(commandLineTerms);
  const cause = isSystemError(error.cause) ? `: ${describeSystemError(error.cause)}` : '';
  return { message: message + cause, hint };
}

/** Prints the error and its hint; with --debug, also the stack. */
export function printReport(report: ErrorReport, error: unknown): void {
  printFailure(report);
  if (process.argv.includes('--debug')) printError(printable(inspect(error)));
}

/** Prints an error and its hint. */
export function printFailure({ message, hint }: Pick<ErrorReport, 'message' | 'hint'>): void {
  printMessage(`${stderrColors.red('error:')} ${printableLine(abridge(message))}`);
  if (hint !== undefined)
    printMessage(`${stderrColors.cyan('hint:')} ${printableLine(abridge(asStarted(hint)))}`);
}

/** In characters; names and arguments can have any length. */
const LONGEST_MESSAGE = 1000;

/** Start and end of a very long text. */
const abridge = (text: string): string =>
  text.length <= LONGEST_MESSAGE
    ? text
    : `${text.slice(0, LONGEST_MESSAGE - 200).toWellFormed()} … ${text.slice(-200).toWellFormed()}`;

const seeHelp = (commandLine: string): string => `see ${commandLine} --help`;

function describeCommanderError(error: CommanderError, command: GivenCommand): ErrorReport {
  const { line } = command;
  const [first = '', suggestion] = error.message.split('\n');
  const unknown = /^error: unknown option '(.+)'$/s.exec(first)?.[1];
  const didYouMean = suggestion?.match(/^\((.*\?)\)$/)?.[1];
  const foreign = commandFor(/^error: unknown command '(.+)'$/s.exec(first)?.[1] ?? '');
  const hasArguments = error.code === 'commander.excessArguments' && !first.includes('Expected 0 arguments');
  const hint =
    unknown !== undefined
      ? hintForFlag(unknown, command)
      : foreign !== undefined
        ? `did you mean ${foreign}?`
        : hasArguments
          ? 'quote text that contains spaces'
          : didYouMean && `d${didYouMean.slice(1)}`;
  return {
    exitCode: 2,
    message: first.replace(/^error: /, ''),
    hint: hint === undefined ? seeHelp(line) : `${hint}${hint.endsWith('?') ? ' Or' : ';'} ${seeHelp(line)}`,
  };
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'in use by another program',
  EDQUOT: 'your disk quota is used up',
  EEXIST: 'already exists',
  EFBIG: 'larger than ulimit -f or the file system allows',
  EIO: 'the disk reports a read or write error',
  EISDIR: 'is a folder, not a file',
  ELOOP: 'too many symbolic links',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or folder',
  ENOMEM: 'not enough memory',
  ENOSPC: 'no space left on the disk',
  ENOTDIR: 'a part of the path is a file, not a folder',
  ENOTEMPTY: 'the folder is not empty',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
};

/** One line about a system error. */
export function describeSystemError(error: SystemError): string {
  const reason = reasons[error.code] ?? error.message;
  return error.path === undefined ? `${error.syscall} failed: ${reason}` : `${error.path}: ${reason}`;
}
