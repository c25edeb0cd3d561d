import { inTerms, libraryTerms, type Terms } from './messages.ts';

/**
 * Codes of errors, which programs and tests rely on. Messages may be reworded, codes may not. `docs/library.md` has this
 * table.
 */
export const errorCodes = {
  'bad-option-value': 'An option has a value of the wrong type or out of range.',
  'conflicting-options': 'Options exclude each other, or one has no effect without another.',
  'missing-argument': 'Neither an argument nor an option says what to work on.',
  'unknown-name': 'No option, setting or command has this name.',
  'nothing-to-do': 'What was asked for is done already, such as all steps of a run.',
  'file-not-found': 'There is no such file, folder, model or run.',
  'wrong-file-kind': 'A folder where a file is needed, a checkpoint where a run is needed, and the like.',
  'unsupported-format': 'A file format, architecture or tokenizer that is not supported.',
  'newer-version': 'The file was written by a newer version of `gpt`.',
  'damaged-file':
    'The content of a file fails a check: it is incomplete, changed, or not what its format allows.',
  'bad-template': 'A chat template is broken, fails, or refuses a conversation.',
  'mismatched-files': 'Files that are intact but belong to different models or runs.',
  'symbolic-link': 'A symbolic link where links are not followed.',
  'file-too-large': 'A file, or text from a pipe, that exceeds a size limit.',
  'not-text': 'Bytes that are invalid in the encoding in which they are read.',
  'empty-text': 'There is no text in a file, a folder or a pipe.',
  'text-too-short': 'The text has fewer tokens than training or evaluation needs.',
  'context-exceeded': 'Messages have more tokens than the context length of the model.',
  'text-changed': 'The text is not the one that the model was trained on.',
  'text-unavailable': 'The text that the model was trained on is gone, or has moved.',
  'not-recorded': 'The model does not say how it was trained.',
  'not-in-vocabulary': 'The vocabulary of the model lacks a token.',
  'unsuitable-tokenizer': 'The text cannot be turned into a vocabulary of the kind that was asked for.',
  'no-checkpoint': 'The run has not saved a model or a checkpoint that can be used.',
  'folder-in-use': 'Another process writes to the folder.',
  'output-exists': 'The output already exists.',
  'write-failed': 'A result or checkpoint could not be written.',
  'out-of-memory': 'More memory is needed than there is, or than the engine can address.',
  'training-diverged': 'The loss repeatedly became infinite or NaN.',
  'engine-unavailable': 'The requested engine does not work on this computer.',
  'device-failed': 'A GPU was lost, or refused a command.',
  'check-failed': 'A self-check found wrong results.',
  'mpi-unavailable': 'MPI, over which several processes train together, cannot be used.',
  'rank-lost': 'Another process of the same run does not answer, or its network has failed.',
  'tool-failed': 'Another program that was called has failed.',
} as const;
export type ErrorCode = keyof typeof errorCodes;

/**
 * An error the user can fix: `message` says what happened and where, `hint` what to do. The command line prints both
 * without a stack. Any other exception is a bug.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  /** Kind of error: a key of `errorCodes`. */
  readonly code: ErrorCode;
  /** One line that says what to do. */
  readonly hint: string | undefined;
  readonly #marked: { readonly message: string; readonly hint: string | undefined };
  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(inTerms(message, libraryTerms), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint === undefined ? undefined : inTerms(options.hint, libraryTerms);
    this.#marked = { message, hint: options.hint };
  }

  /** Message and hint in the given terms; `message` and `hint` themselves are in the library's. */
  in(terms: Terms): { readonly message: string; readonly hint: string | undefined } {
    const { message, hint } = this.#marked;
    return { message: inTerms(message, terms), hint: hint === undefined ? undefined : inTerms(hint, terms) };
  }
}

/** Wrong usage: a flag, an argument, or a combination of them. Exit code 2; other UserErrors exit with 1. */
export class UsageError extends UserError {
  override readonly name = 'UsageError';
}

/** An operating system error, such as a missing file, as opposed to Node's own errors (ERR_…). */
export type SystemError = NodeJS.ErrnoException & { code: string };

export const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';

/** Makes system errors name this path: calls on an open file name none, and others may name a temporary one. */
export function naming<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw withPath(path, error);
  }
}

/** `naming` for asynchronous calls. */
export async function namingAsync<T>(path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw withPath(path, error);
  }
}

function withPath(path: string, error: unknown): unknown {
  if (isSystemError(error)) error.path = path;
  return error;
}

/** The result, or undefined after a UserError or a system error, such as a missing or damaged file. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError || isSystemError(error)) return undefined;
    throw error;
  }
}

/** True if a check passes; a missing or damaged file fails it. */
export const holds = (check: () => boolean): boolean => attempt(check) === true;
