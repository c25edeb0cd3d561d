/**
 * Everything the command line says to people. Results go to stdout through `print`; progress, notices and errors go to
 * stderr, so that a pipe carries data only.
 */
import { once } from 'node:events';
import { Chalk, type ChalkInstance } from 'chalk';

/**
 * Whether to colour what is written to `stream`. The most deliberate wish wins: the flag, then FORCE_COLOR, then
 * NO_COLOR (in the order Node itself has them), then whether somebody is looking at a terminal that knows colours.
 */
export function wantsColor(
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

// Named colours only: they follow the palette the user chose for the terminal, and level 1 carries them all.
const paletteFor = (stream: NodeJS.WriteStream): ChalkInstance =>
  new Chalk({ level: wantsColor(stream, process.env, process.argv) ? 1 : 0 });

/** Colours whatever the stream, for commander's help: it strips them itself where they are not wanted. */
export const helpColors: ChalkInstance = new Chalk({ level: 1 });
/** Colours for text that goes to stdout. */
export const stdoutColors: ChalkInstance = paletteFor(process.stdout);
/** Colours for text that goes to stderr. */
export const stderrColors: ChalkInstance = paletteFor(process.stderr);

/**
 * True if somebody looks at stderr on a terminal where lines can be drawn again in place. Who wants plain text, or keeps a
 * log of it as continuous integration does, gets lines that stay.
 */
export const canRedraw = (): boolean =>
  process.stderr.isTTY &&
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

/** Told by --json. */
export function setForScript(json: boolean): void {
  isForScript = json;
}

/** Whether somebody watches the terminal, who wants to see how far the work has come. */
export const showsProgress = (): boolean => canRedraw() && !isQuiet() && !isForScript;

/** A line at the bottom of the terminal that is redrawn in place. Anything else is printed above it. */
export interface LiveLine {
  erase(): void;
  draw(): void;
  /** Leaves the line as it is and moves on to the next. */
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

// However the process ends, the shell's prompt starts on a line of its own.
process.on('exit', endLiveLine);

function writeAbove(stream: NodeJS.WriteStream, text: string): boolean {
  liveLine?.erase();
  const hasRoom = stream.write(text);
  liveLine?.draw();
  return hasRoom;
}

/**
 * Writes to stdout: unchanged into a pipe; on a terminal, without control sequences other than colours. Await it, so that a
 * slow reader does not make us buffer the whole output.
 */
export const print = (text: string): Promise<void> =>
  printDrawn(process.stdout.isTTY ? withoutCommands(text) : text);

/** Writes text to stdout with the cursor movements it contains. What comes from outside must have passed `forStdout`. */
export async function printDrawn(text: string): Promise<void> {
  if (!writeAbove(process.stdout, text)) await once(process.stdout, 'drain');
}

/** A line on stderr, unless --quiet. */
export function notice(text = ''): void {
  if (verbosity !== 'quiet') printError(text);
}

/** A line on stderr, only with --verbose. */
export function verbose(text: string): void {
  if (verbosity === 'verbose') printError(stderrColors.dim(text));
}

/** A warning: something the user should know, though the command continues. Shown with --quiet too. */
export function warn(text: string): void {
  printError(`${stderrColors.yellow('warning:')} ${text}`);
}

/** A line on stderr, whatever the verbosity. */
export function printError(text: string): void {
  writeAbove(process.stderr, `${withoutCommands(text)}\n`);
}

/** Resolves when all that was written so far has left the process, or can't any more. */
export async function flush(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return;
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

/**
 * Text from outside (file names, file contents, arguments) made safe to show: what could move the cursor, recolour the
 * terminal or reorder the line is written as an escape. Line breaks and tabs stay.
 */
export const printable = (text: string): string =>
  text.replace(controlOrBidi, (character) =>
    character === '\n' || character === '\t' ? character : escapeOf(character),
  );

/** Characters that a terminal interprets instead of displaying: C0, delete, C1 and bidirectional controls. */
export const controlOrBidi = /[\p{Cc}\p{Bidi_Control}]/gu;

function escapeOf(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
}

const COLOR = new RegExp(`(${String.fromCharCode(0x1b)}\\[[\\d;]*m)`);

/**
 * The last line of defence for everything shown to people, in case a caller forgot `printable`. Colours pass, since this
 * program uses them itself.
 */
const withoutCommands = (text: string): string =>
  text
    .split(COLOR)
    .map((part, i) => (i % 2 === 1 ? part : printable(part)))
    .join('');

/** The same on one line, for what stands within a message. */
export const printableLine = (text: string): string => printable(text).replaceAll('\n', '\\n');

/** Text of others as stdout takes it: made safe on a terminal, as it is in a pipe. */
export const forStdout = (text: string): string => (process.stdout.isTTY ? printable(text) : text);

export const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');
