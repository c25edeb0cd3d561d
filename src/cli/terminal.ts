/**
 * All output of the command line. Results go to stdout through `print`; progress, notices and errors go to stderr, so that
 * a pipe carries only data.
 */
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { Chalk, type ChalkInstance } from 'chalk';
import { wrapMessage } from './wrap-message.ts';

/**
 * Whether to color a stream, in order of precedence: the flag, FORCE_COLOR, NO_COLOR (in Node's own order), and whether the
 * stream is a terminal with colors.
 */
function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
  args: readonly string[],
): boolean {
  if (args.includes('--no-color')) return false;
  const force = env['FORCE_COLOR'];
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (env['NO_COLOR']) return false;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

// Only named colors, which follow the terminal's palette and need only level 1.
const paletteFor = (stream: NodeJS.WriteStream): ChalkInstance =>
  new Chalk({ level: wantsColor(stream, process.env, process.argv) ? 1 : 0 });

/** Always colored, for commander's help, which strips colors itself where they are not wanted. */
export const helpColors: ChalkInstance = new Chalk({ level: 1 });
/** Colors for stdout. */
export const stdoutColors: ChalkInstance = paletteFor(process.stdout);
/** Colors for stderr. */
export const stderrColors: ChalkInstance = paletteFor(process.stderr);

/** Columns of a redrawn line left free for the cursor and the ^C that terminals echo. */
export const SPARE_COLUMNS = 3;
/** Control sequence: clears the line from the cursor on. */
export const CLEAR_RIGHT = '\u001b[K';

/** Whether stderr is a terminal that can be redrawn. Elsewhere, as in CI logs, lines are only appended. */
export const canRedraw = (): boolean =>
  process.stderr.isTTY &&
  process.stderr.columns > 0 && // a terminal may not know its size
  process.env['TERM'] !== 'dumb' &&
  !process.env['CI'] &&
  !process.env['NO_COLOR'] &&
  !process.argv.includes('--no-color');

export type Verbosity = 'quiet' | 'normal' | 'verbose';
let verbosity: Verbosity = 'normal';

export function setVerbosity(level: Verbosity): void {
  verbosity = level;
}
export const isQuiet = (): boolean => verbosity === 'quiet';

let isForScript = false;

/** Set by --json. */
export function setForScript(json: boolean): void {
  isForScript = json;
}

/** Whether to show progress: on a terminal that can be redrawn, unless --quiet or --json. */
export const showsProgress = (): boolean => canRedraw() && !isQuiet() && !isForScript;

/** Whether slow work is reported once instead of showing progress: in a pipe or a log. */
export const namesActivity = (): boolean => !canRedraw() && !isQuiet() && !isForScript;

/** A line at the bottom of the terminal that is redrawn in place; other output is printed above it. */
export interface LiveLine {
  erase(): void;
  draw(): void;
  /** Leaves the line and moves to the next. */
  end(): void;
}
let liveLine: LiveLine | undefined;

export function startLiveLine(line: LiveLine): void {
  liveLine = line;
}

export const hasLiveLine = (): boolean => liveLine !== undefined;

export function endLiveLine(): void {
  const line = liveLine;
  liveLine = undefined;
  line?.end();
}

// The shell's prompt always starts on a new line, however the process ends.
process.on('exit', endLiveLine);

function writeAbove(stream: NodeJS.WriteStream, text: string): boolean {
  liveLine?.erase();
  const hasRoom = stream.write(text);
  liveLine?.draw();
  return hasRoom;
}

/**
 * Writes to stdout, unchanged to a pipe, and without control sequences except colors to a terminal. Await it, so that a
 * slow reader does not make output accumulate in memory.
 */
export const print = (text: string): Promise<void> =>
  printDrawn(process.stdout.isTTY ? withoutCommands(text) : text);

/** Writes text with cursor movements to stdout. Untrusted parts must have passed `forStdout`. */
export async function printDrawn(text: string): Promise<void> {
  if (hasNoReader || writeAbove(process.stdout, text)) return;
  try {
    await once(process.stdout, 'drain');
  } catch (error) {
    if (!hasNoReader) throw error;
  }
}

let hasNoReader = false;
let handleNoReader: (() => void) | undefined;

/**
 * For a command with something to save: `handle` is called when the reader of stdout has closed it, which otherwise ends the
 * process. Later output to stdout is discarded.
 */
export function onNoReader(handle: () => void): void {
  handleNoReader = handle;
}

/** To be called when the reader has closed stdout. @returns whether the command handles that */
export function loseReader(): boolean {
  hasNoReader = handleNoReader !== undefined;
  handleNoReader?.();
  return hasNoReader;
}

/** A message on stderr, unless --quiet. */
export function notice(text = ''): void {
  if (verbosity !== 'quiet') printMessage(text);
}

/** A line on stderr, only with --verbose. */
export function verbose(text: string): void {
  if (verbosity === 'verbose') printError(stderrColors.dim(text));
}

/** A warning; shown with --quiet too. */
export function warn(text: string): void {
  printMessage(`${stderrColors.yellow('warning:')} ${text}`);
}

/**
 * A message on stderr, whatever the verbosity. On a terminal its lines are wrapped at words, except those that start with two
 * spaces: rows of a table, and commands to copy.
 */
export function printMessage(text: string): void {
  const { isTTY, columns } = process.stderr;
  printError(
    isTTY && columns > 0
      ? text
          .split('\n')
          .map((line) => wrapLine(line, columns))
          .join('\n')
      : text,
  );
}

const wrapLine = (line: string, columns: number): string =>
  stripVTControlCharacters(line).startsWith('  ') ? line : wrapMessage(line, columns);

/** Text on stderr as it is, whatever the verbosity. */
export function printError(text: string): void {
  writeAbove(process.stderr, `${withoutCommands(text)}\n`);
}

/** Resolves when all output has been written or can no longer be. */
export async function flush(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return;
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

/**
 * Escapes untrusted text (file names, file contents, arguments): everything that could move the cursor, change colors or
 * reorder the line. Line breaks and tabs stay.
 */
export const printable = (text: string): string =>
  text.replace(controlOrBidi, (character) =>
    character === '\n' || character === '\t' ? character : escapeOf(character),
  );

/** Characters a terminal interprets instead of displaying: C0, delete, C1 and bidirectional controls. */
export const controlOrBidi = /[\p{Cc}\p{Bidi_Control}]/gu;

function escapeOf(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
}

const COLOR = new RegExp(`(${String.fromCharCode(0x1b)}\\[[\\d;]*m)`);

/** A second filter on all output, in case a caller forgets `printable`. Colors pass, since this program uses them. */
const withoutCommands = (text: string): string =>
  text
    .split(COLOR)
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join('');

/** `printable` on one line, for use within messages. */
export const printableLine = (text: string): string => printable(text).replaceAll('\n', '\\n');

/** Untrusted text for stdout: escaped on a terminal, unchanged in a pipe. */
export const forStdout = (text: string): string => (process.stdout.isTTY ? printable(text) : text);

export const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');
