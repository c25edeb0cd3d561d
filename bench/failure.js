/** Errors of a benchmark that cannot run: one line that says why, and exit code 2 for wrong usage. */
import { commandLineTerms } from '../dist/cli/command-line-terms.js';
import { describeSystemError } from '../dist/cli/errors.js';
import { isSystemError, UserError, UsageError } from '../dist/errors.js';

export class WrongUsage extends Error {}

const isUsage = (error) =>
  error instanceof WrongUsage ||
  error instanceof UsageError ||
  String(error.code).startsWith('ERR_PARSE_ARGS_');

/** Expected errors are plain `Error`s; subclasses indicate bugs. */
const isBug = (error) =>
  !(error instanceof Error) ||
  (error.constructor !== Error && !isUsage(error) && !(error instanceof UserError));

function messageOf(error) {
  if (error instanceof UserError) return error.in(commandLineTerms);
  return isSystemError(error) ? { message: describeSystemError(error) } : error;
}

/** Reports an error on stderr and sets the exit code; with a stack if it is a bug, or with DEBUG=1. */
export function fail(error) {
  process.exitCode = isUsage(error) ? 2 : 1;
  if (isBug(error) || process.env.DEBUG) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    return;
  }
  const { message, hint } = messageOf(error);
  process.stderr.write(`error: ${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`);
}
