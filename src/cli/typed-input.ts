/** Standard input at a terminal: a command that waits for it looks as if it hung, unless it says so. */
import { isatty } from 'node:tty';
import { notice } from './terminal.ts';

const STDIN = 0;

/** Whether standard input is a terminal. Unlike process.stdin.isTTY, this leaves a pipe as it is: blocking. */
export const isTyped = (): boolean => isatty(STDIN);

let awaited = false;

/** Whether somebody has been told to type, and may still do so. */
export const isAwaited = (): boolean => awaited;

/**
 * Says that a command reads standard input, if somebody has to type it.
 *
 * @param what is read: 'the text'
 * @param more a sentence to add
 */
export function noticeIfTyped(what: string, more?: string): void {
  const end = process.platform === 'win32' ? 'Ctrl-Z and Enter end' : 'Ctrl-D ends';
  if (!isTyped()) return;
  awaited = true;
  notice(`Reading ${what} from the terminal; ${end} the input.${more === undefined ? '' : ` ${more}`}`);
}

/** The same for a command that reads the texts at these paths, one of which may be `-`. */
export function noticeIfTextTyped(paths: readonly (string | undefined)[]): void {
  if (paths.includes('-')) noticeIfTyped('the text');
}
