/** Encloses the name of an option in a message. No text of a user's holds it: paths cannot, and others are shown as JSON. */
const MARK = '\0';

/**
 * The name of an option for the message of an error. Users of the library read it as it is, `nHead`, those of the command
 * line as a flag, `--n-head`.
 */
export const optionName = (name: string): string => MARK + name + MARK;

const withoutMarks = (text: string): string => text.replaceAll(MARK, '');

/**
 * An error the user can act on: what happened and where in `message`, what to do in `hint`.
 * The command line prints both, without a stack. Everything else that is thrown is a bug.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  /** One line saying what to do about it. */
  readonly hint: string | undefined;
  readonly #marked: { readonly message: string; readonly hint: string | undefined };
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(withoutMarks(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint === undefined ? undefined : withoutMarks(options.hint);
    this.#marked = { message, hint: options.hint };
  }

  /** Message and hint in which every name of an option has been replaced. */
  withNames(replace: (name: string) => string): {
    readonly message: string;
    readonly hint: string | undefined;
  } {
    const named = (text: string): string =>
      text
        .split(MARK)
        .map((part, i) => (i % 2 === 1 ? replace(part) : part))
        .join('');
    const { message, hint } = this.#marked;
    return { message: named(message), hint: hint === undefined ? undefined : named(hint) };
  }
}

/** Wrong usage: a flag, an argument or a combination of them. Exit code 2, where a UserError's is 1. */
export class UsageError extends UserError {
  override readonly name = 'UsageError';
}

/** An error of the operating system's, such as a missing file, as opposed to one of ours or of Node's own (ERR_…). */
export type SystemError = NodeJS.ErrnoException & { code: string };

export const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';

/** The result, or undefined where a file is missing or damaged: after a UserError or an error of the system. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError || isSystemError(error)) return undefined;
    throw error;
  }
}

/** Whether a check holds; a file that is missing or damaged fails it. */
export const holds = (check: () => boolean): boolean => attempt(check) === true;
