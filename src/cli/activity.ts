/**
 * A status line at the bottom of the terminal for slow work before anything else is shown:
 *
 *     measuring this computer …
 *     tokenizing … 45%, 4s left
 *
 * It is erased afterwards. In a pipe or a log, slow work is instead reported once, on a line that stays. Each redraw is a single
 * write, which avoids flicker. No signal handler is installed, so Ctrl-C ends even work that blocks the event loop.
 */
import { cursorTo, clearLine } from 'node:readline';
import stringWidth from 'string-width';
import { formatDuration, formatPercent } from '../format.ts';
import type { Report } from '../reporting.ts';
import { isAwaited } from './typed-input.ts';
import {
  CLEAR_RIGHT,
  endLiveLine,
  hasLiveLine,
  namesActivity,
  notice,
  showsProgress,
  SPARE_COLUMNS,
  startLiveLine,
  stderrColors,
} from './terminal.ts';

export interface Activity {
  /** Shows an activity at once, since the work may block the event loop. */
  readonly update: (what: string) => void;
  /** Shows an activity and its progress after a short delay, if it is still running. */
  readonly report: Report;
  /** Erases the line. */
  readonly stop: () => void;
}

/** In milliseconds; shorter work is not reported in a pipe or a log. */
export const LOGGED_AFTER = 5000;

const NONE: Activity = { update() {}, report() {}, stop() {} };

/** In milliseconds; shorter work is not shown. */
export const SHOWN_AFTER = 300;
const BETWEEN_REDRAWS = 125;
/** In milliseconds; the remaining time is not estimated before this. */
const ESTIMATED_FROM = 1000;

/**
 * Creates the status line, unless --quiet or --json is given. A nested activity does not get a second line.
 *
 * @param what shown at once; without it, the line appears with the first update, or with a report after a short delay
 */
export function startActivity(what?: string): Activity {
  if (hasLiveLine()) return NONE;
  if (!showsProgress()) return namesActivity() ? startLoggedActivity(what) : NONE;
  const stream = process.stderr;
  const begun = performance.now();
  let shown: Reported | undefined;
  let drawn = 0; // time of the last redraw
  let stopped = false;
  const erase = (): void => {
    if (shown === undefined) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  const draw = (): void => {
    if (shown === undefined) return;
    drawn = performance.now();
    stream.write(
      `\r${stderrColors.dim(describe(shown, drawn, stream.columns - SPARE_COLUMNS))}${CLEAR_RIGHT}`,
    );
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
      // The line would cover what is being typed.
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

/** Logs an activity on a line of its own once it has run for `LOGGED_AFTER`. */
function startLoggedActivity(what?: string): Activity {
  let current: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let loggedAt = Infinity;
  const log = (): void => {
    clearTimeout(timer);
    loggedAt = Infinity;
    notice(stderrColors.dim(`${current} …`));
  };
  const update = (activity: string): void => {
    clearTimeout(timer);
    current = activity;
    loggedAt = performance.now() + LOGGED_AFTER;
    timer = setTimeout(log, LOGGED_AFTER).unref();
  };
  if (what !== undefined) update(what);
  return {
    update,
    report(activity) {
      if (activity !== current) update(activity);
      else if (performance.now() >= loggedAt) log(); // the work may block the event loop
    },
    stop: () => clearTimeout(timer),
  };
}

interface Reported {
  readonly activity: string;
  /** Start time. */
  readonly since: number;
  readonly done: number | undefined;
}

/** The line in at most `width` columns: the time left is dropped first, then the percentage; empty if nothing fits. */
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

/** Shows the line during `work`. */
export async function whileDoing<T>(what: string, work: (activity: Activity) => T | Promise<T>): Promise<T> {
  const activity = startActivity(what);
  try {
    return await work(activity);
  } finally {
    activity.stop();
  }
}

/** Shows the line during `work`, if that takes longer than a moment. */
export function whileReporting<T>(work: (report: Report) => T): T {
  const activity = startActivity();
  try {
    return work(activity.report);
  } finally {
    activity.stop();
  }
}
