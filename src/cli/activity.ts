/**
 * A status line at the bottom of the terminal, for work whose progress cannot be measured:
 *
 *     measuring this machine …
 *
 * It is drawn before the work starts, since the work may block the event loop, and erased afterwards.
 */
import { cursorTo, clearLine } from 'node:readline';
import stringWidth from 'string-width';
import { canRedraw, endLiveLine, isQuiet, startLiveLine, stderrColors } from './terminal.ts';

export interface Activity {
  /** Replaces the text of the line. */
  readonly update: (what: string) => void;
  /** Erases the line. */
  readonly stop: () => void;
}

const NONE: Activity = { update() {}, stop() {} };

/** Shows the line if stderr is a terminal, unless --quiet is given. */
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

/** Shows the line while `work` runs. */
export async function whileDoing<T>(what: string, work: (activity: Activity) => T | Promise<T>): Promise<T> {
  const activity = startActivity(what);
  try {
    return await work(activity);
  } finally {
    activity.stop();
  }
}
