/**
 * A progress bar on one line at the bottom of the terminal:
 *
 *     step 1,234/5,000 ━━━━━━━━──────────────────────── 24%  loss 1.832  45,210 tok/s  ETA 3m 12s
 *
 * Cursor and line wrap stay enabled, so even a killed process leaves the terminal usable.
 */
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';
import cliProgress, { type Options, type Params } from 'cli-progress';
import { formatDuration, formatNumber, formatPercent } from '../format.ts';
import {
  endLiveLine,
  notice,
  showsProgress,
  SPARE_COLUMNS,
  startLiveLine,
  stderrColors,
} from './terminal.ts';

interface ProgressBar {
  /**
   * Redraws the bar for `value` of the total. `fields` are short texts such as `loss 1.832`; the last are dropped first if
   * space is short.
   */
  update(value: number, fields: readonly string[]): void;
  /** Leaves the bar on its own line. */
  stop(): void;
}

/** Starts a bar on stderr. Undefined for a file, a pipe, --quiet or --json: print occasional lines instead. */
export function startProgressBar(settings: {
  /** The unit that is counted: `step`. */
  label: string;
  /** The counts mean nothing by themselves: only the percentage is shown. */
  isShare?: boolean;
  total: number;
  /** Initial value of a resumed run. */
  start?: number;
}): ProgressBar | undefined {
  if (!showsProgress()) return undefined;
  const screen = openScreen(process.stderr);
  let fields: readonly string[] = [];
  const head = ({ value, total }: Params): string =>
    settings.isShare === true ? settings.label : countHead(settings.label, value, total);

  const options: Options & { terminal: Screen } = {
    terminal: screen,
    format: (_options, params) => renderLine(head(params), params, fields, screen.getWidth() - SPARE_COLUMNS),
    etaBuffer: 100, // in steps, long enough to include pauses for evaluation
    forceRedraw: true, // its record of the screen is wrong once lines have been printed above
    linewrap: true,
    gracefulExit: false, // its signal handler would keep Ctrl-C from ending the process
  };
  const bar = new cliProgress.SingleBar(options);
  bar.start(settings.total, settings.start ?? 0);
  startLiveLine({ erase: () => screen.erase(), draw: () => bar.render(), end: () => bar.stop() });

  return {
    update(value, newFields) {
      fields = newFields;
      bar.update(value);
    },
    stop: endLiveLine,
  };
}

/** Shows a task's progress in percent: a bar on a terminal, otherwise an occasional line if it takes long. */
export function startPercentage(label: string): { update: (done: number) => void; stop: () => void } {
  const bar = startProgressBar({ label, total: 100, isShare: true });
  let last = performance.now();
  return {
    update(done) {
      bar?.update(Math.floor(100 * done), []);
      if (bar !== undefined || done >= 1 || performance.now() - last < millisecondsBetweenLines) return;
      last = performance.now();
      notice(`${label} ${formatPercent(done, 0)}`);
    },
    stop: () => bar?.stop(),
  };
}

const millisecondsBetweenLines = 10_000;

const widestBar = 40;
const narrowestBar = 10;

/** `step 1,234/5,000` */
export const countHead = (label: string, value: number, total: number): string =>
  `${label} ${formatNumber(value)}/${formatNumber(total)}`;

/** The line in at most `width` columns: the bar shrinks first, then fields are dropped from the right, then the bar. */
export function renderLine(head: string, params: Params, fields: readonly string[], width: number): string {
  const percent = `${Math.floor(params.progress * 100)}%`.padStart(4);

  for (let shown = fields.length; shown >= 0; shown--) {
    const tail = [percent, ...fields.slice(0, shown), timeField(params)].join('  ');
    const room = width - head.length - tail.length - 2;
    if (room >= narrowestBar) {
      return `${head} ${renderBar(params.progress, Math.min(room, widestBar))} ${tail}`;
    }
  }
  return `${head} ${percent}`.slice(0, Math.max(width, 0));
}

/** Time left, or time taken. cli-progress reports NULL and INF before it has an estimate. */
function timeField({ progress, eta, startTime }: Params): string {
  if (progress >= 1) return `in ${formatDuration((Date.now() - startTime) / 1000)}`;
  return `ETA ${formatDuration(typeof eta === 'number' ? eta : Infinity)}`;
}

function renderBar(progress: number, width: number): string {
  const done = Math.round(progress * width);
  return stderrColors.cyan('━'.repeat(done)) + stderrColors.dim('─'.repeat(width - done));
}

/** The terminal interface of cli-progress. Its own saves the cursor position, which scrolling invalidates. */
interface Screen {
  isTTY(): boolean;
  getWidth(): number;
  /** Moves to the start of the last redraw, which takes several rows if the window has become narrower. */
  cursorTo(): void;
  write(line: string): void;
  clearRight(): void;
  newline(): void;
  cursorSave(): void;
  cursorRestore(): void;
  erase(): void;
}

function openScreen(stream: NodeJS.WriteStream): Screen {
  let drawn = 0; // in columns
  const screen: Screen = {
    isTTY: () => true,
    getWidth: () => stream.columns,
    cursorTo() {
      const rowsAbove = Math.max(0, Math.ceil(drawn / stream.columns) - 1);
      if (rowsAbove > 0) moveCursor(stream, 0, -rowsAbove);
      cursorTo(stream, 0);
    },
    write(line) {
      stream.write(line);
      drawn = stripVTControlCharacters(line).length;
    },
    clearRight: () => clearScreenDown(stream),
    newline: () => stream.write('\n'),
    cursorSave() {},
    cursorRestore() {},
    erase() {
      screen.cursorTo();
      clearScreenDown(stream);
      drawn = 0;
    },
  };
  return screen;
}
