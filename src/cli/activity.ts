/**
 * A status line at the bottom of the terminal, for work that takes long before there is anything else to show:
 *
 *     measuring this machine …
 *     tokenizing … 45%, 4s left
 *
 * It is erased afterwards. Each drawing is one write, so that nothing flickers. Nobody listens to signals meanwhile, so that
 * Ctrl-C ends even work that blocks the event loop.
 */
import { cursorTo, clearLine } from 'node:readline';
import stringWidth from 'string-width';
import { formatDuration, formatPercent } from '../format.ts';
import type { Report } from '../reporting.ts';
import { isAwaited } from './typed-input.ts';
import { endLiveLine, hasLiveLine, showsProgress, startLiveLine, stderrColors } from './terminal.ts';

export interface Activity {
  /** Shows what is being done, at once, since the work may block the event loop. */
  readonly update: (what: string) => void;
  /** Shows it a moment later, if it is still being done, and how far it has come. */
  readonly report: Report;
  /** Erases the line. */
  readonly stop: () => void;
}

const NONE: Activity = { update() {}, report() {}, stop() {} };

const CLEAR_RIGHT = '\u001b[K';
/** In milliseconds. What is done sooner than that needs no line. */
const SHOWN_AFTER = 300;
const BETWEEN_REDRAWS = 125;
/** In milliseconds. Before that, the time left is not estimated. */
const ESTIMATED_FROM = 1000;
/** Columns left free at the right, for the cursor and for the ^C that a terminal shows there. */
const SPARE = 3;

/**
 * Prepares the line, on a terminal, unless --quiet or --json is given. What work is a part of says enough: there is no second
 * line while another is shown.
 *
 * @param what shown at once; without it, the line appears with the first update, or when a report comes a moment later
 */
export function startActivity(what?: string): Activity {
  if (!showsProgress() || hasLiveLine()) return NONE;
  const stream = process.stderr;
  const begun = performance.now();
  let shown: Reported | undefined;
  let drawn = 0; // when
  let stopped = false;
  const erase = (): void => {
    if (shown === undefined) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  const draw = (): void => {
    if (shown === undefined) return;
    drawn = performance.now();
    stream.write(`\r${stderrColors.dim(describe(shown, drawn, stream.columns - SPARE))}${CLEAR_RIGHT}`);
  };
  const update = (activity: string): void => {
    shown = { activity, since: performance.now(), done: undefined };
    draw();
  };
  let reported: Reported | undefined;
  startLiveLine({ erase, draw, end: erase });
  if (what !== undefined) update(what);
  return {
    update,
    report(activity, done) {
      // A line would be drawn over what is being typed.
      if (stopped || (done === undefined && isAwaited())) return;
      const now = performance.now();
      const isNew = reported?.activity !== activity;
      reported = { activity, since: isNew ? now : reported!.since, done };
      if (shown === undefined ? now - begun < SHOWN_AFTER : !isNew && now - drawn < BETWEEN_REDRAWS) return;
      shown = reported;
      draw();
    },
    stop() {
      if (!stopped) endLiveLine();
      stopped = true;
    },
  };
}

interface Reported {
  readonly activity: string;
  /** When it began. */
  readonly since: number;
  readonly done: number | undefined;
}

/** The line in at most `width` columns: first the time left goes, then the share. Empty where there is no room at all. */
function describe({ activity, since, done }: Reported, now: number, width: number): string {
  const line = `${activity} …`;
  const lines = [line];
  if (done !== undefined) {
    const share = `${line} ${formatPercent(Math.floor(100 * Math.min(1, done)) / 100, 0)}`;
    lines.unshift(share);
    if (now - since >= ESTIMATED_FROM && done > 0 && done < 1) {
      const left = (((now - since) / 1000) * (1 - done)) / done;
      lines.unshift(`${share}, ${formatDuration(Math.ceil(left))} left`);
    }
  }
  return lines.find((each) => stringWidth(each) <= width) ?? '';
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

/** Shows the line while `work` runs, if that takes longer than a moment. */
export function whileReporting<T>(work: (report: Report) => T): T {
  const activity = startActivity();
  try {
    return work(activity.report);
  } finally {
    activity.stop();
  }
}
