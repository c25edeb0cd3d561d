/**
 * A line at the bottom of the terminal that names the work in hand, for work without a measure of how far it has come:
 *
 *     measuring this machine …
 *
 * It is drawn before the work starts, which may not let anything else run until it is done, and erased afterwards.
 */
import { cursorTo, clearLine } from 'node:readline';
import stringWidth from 'string-width';
import { canRedraw, endLiveLine, isQuiet, startLiveLine, stderrColors } from './terminal.ts';

export interface Activity {
  /** Names the next part of the work. */
  readonly update: (what: string) => void;
  /** Erases the line. */
  readonly stop: () => void;
}

const NONE: Activity = { update() {}, stop() {} };

/** Puts the line up, if stderr is a terminal and somebody wants to see it. */
export function startActivity(what: string): Activity {
  if (!canRedraw() || isQuiet()) return NONE;
  const stream = process.stderr;
  let text = what;
  const erase = (): void => {
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  const draw = (): void => {
    erase();
    const line = `${text} …`;
    if (stringWidth(line) < stream.columns) stream.write(stderrColors.dim(line));
  };
  startLiveLine({ erase, draw, end: erase });
  draw();
  return {
    update(more) {
      text = more;
      draw();
    },
    stop: endLiveLine,
  };
}

/** Runs work under such a line. */
export async function whileDoing<T>(what: string, work: (activity: Activity) => T | Promise<T>): Promise<T> {
  const activity = startActivity(what);
  try {
    return await work(activity);
  } finally {
    activity.stop();
  }
}
