/**
 * A block of lines at the bottom of the terminal that is redrawn in place. Each redraw is a single write, which avoids
 * flicker. Cursor and line wrap stay enabled, so even a killed process leaves the terminal usable.
 */
import stringWidth from 'string-width';
import { CLEAR_RIGHT, endLiveLine, startLiveLine } from './terminal.ts';

export interface LiveBlock {
  /** Redraws the block. */
  update(): void;
  /** Leaves the block and moves to the next line. */
  stop(): void;
}

// Synchronized output: terminals that support it show what is between these two at once; others ignore them.
const BEGIN = '\u001b[?2026h';
const END = '\u001b[?2026l';
const CLEAR_BELOW = '\u001b[J';

/**
 * Starts a block on stderr.
 *
 * @param render returns its lines for a terminal of that size, none wider than it
 */
export function startLiveBlock(render: (columns: number, rows: number) => readonly string[]): LiveBlock {
  const stream = process.stderr;
  let drawn: readonly number[] = []; // width of each line

  /** Moves to the start of the block, which takes more rows if the window has become narrower. */
  const toStart = (): string => {
    const rows = drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / stream.columns)), 0);
    return rows > 1 ? `\u001b[${rows - 1}A\r` : '\r';
  };
  const draw = (): void => {
    const lines = render(stream.columns, stream.rows);
    const text = lines.map((line) => line + CLEAR_RIGHT).join('\n');
    stream.write(BEGIN + toStart() + text + CLEAR_BELOW + END);
    drawn = lines.map((line) => stringWidth(line));
  };
  const erase = (): void => {
    stream.write(toStart() + CLEAR_BELOW);
    drawn = [];
  };
  const forget = (): void => {
    drawn = []; // the shell has written below it meanwhile
    draw();
  };
  const end = (): void => {
    stream.off('resize', draw);
    process.off('SIGCONT', forget);
    draw();
    stream.write('\n');
  };
  stream.on('resize', draw);
  if (process.platform !== 'win32') process.on('SIGCONT', forget);
  draw();
  startLiveLine({ erase, draw, end });
  return { update: draw, stop: endLiveLine };
}
