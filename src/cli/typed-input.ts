/** Standard input from a terminal. Without a notice, a command that waits for it appears to hang. */
import { isatty } from 'node:tty';
import { notice } from './terminal.ts';

const STDIN = 0;

/** Whether standard input is a terminal. Unlike process.stdin.isTTY, this keeps a pipe in blocking mode. */
export const isTyped = (): boolean => isatty(STDIN);

let awaited = false;

/** Whether typed input is being awaited. */
export const isAwaited = (): boolean => awaited;

/**
 * Tells the user to type, if standard input is a terminal.
 *
 * @param what is read: 'the text'
 * @param more additional sentence
 */
export function noticeIfTyped(what: string, more?: string): void {
  const end = process.platform === 'win32' ? 'Ctrl-Z and Enter end' : 'Ctrl-D ends';
  if (!isTyped()) return;
  awaited = true;
  notice(`Reading ${what} from the terminal; ${end} the input.${more === undefined ? '' : ` ${more}`}`);
}

/** The same for texts at these paths, one of which may be `-`. */
export function noticeIfTextTyped(paths: readonly (string | undefined)[]): void {
  if (paths.includes('-')) noticeIfTyped('the text');
}
