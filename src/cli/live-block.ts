/**
 * Lines at the bottom of the terminal that are drawn again in place. Each drawing is one write, so nothing flickers; and
 * neither the cursor is hidden nor line wrap switched off, so there is nothing to restore: even a killed process leaves a
 * usable terminal behind.
 */
import stringWidth from 'string-width';
import { endLiveLine, startLiveLine } from './terminal.ts';

export interface LiveBlock {
  /** Draws the block anew. */
  update(): void;
  /** Leaves it as it is and moves on to the next line. */
  stop(): void;
}

// Terminals that know it show what lies between these two at once; the others ignore it.
const BEGIN = '\u001b[?2026h';
const END = '\u001b[?2026l';
const CLEAR_RIGHT = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/**
 * Puts up a block on stderr.
 *
 * @param render its lines, for a terminal of that size; none of them may be wider than it
 */
export function startLiveBlock(render: (columns: number, rows: number) => readonly string[]): LiveBlock {
  const stream = process.stderr;
  let drawn: readonly number[] = []; // the width of each line

  /** To the first column of the first line, which a window that has become narrower since has moved up. */
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
