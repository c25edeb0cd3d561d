/**
 * One line at the bottom of the terminal that shows how far the work has got:
 *
 *     step 1,234/5,000 ━━━━━━━━──────────────────────── 24%  loss 1.832  45,210 tok/s  ETA 3m 12s
 *
 * Neither the cursor is hidden nor line wrap switched off, so there is nothing to restore: even a killed process leaves a
 * usable terminal behind.
 */
import { clearScreenDown, cursorTo, moveCursor } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';
import cliProgress, { type Options, type Params } from 'cli-progress';
import { formatDuration, formatNumber, formatPercent } from '../format.ts';
import { endLiveLine, notice, showsProgress, startLiveLine, stderrColors } from './terminal.ts';

export interface ProgressBar {
  /**
   * Shows that `value` of the total is done. `fields` are short texts such as `loss 1.832`; where space is short, the
   * last of them goes first.
   */
  update(value: number, fields: readonly string[]): void;
  /** Leaves the bar as it is, on its own line. */
  stop(): void;
}

// Columns left free at the end of the line, for the cursor and for the ^C that a terminal shows there.
const spare = 3;

/** Puts up a bar on stderr. Undefined where none is wanted (a file, a pipe, --quiet, --json): print a line now and then instead. */
export function startProgressBar(settings: {
  /** What is counted: `step`. */
  label: string;
  total: number;
  /** Where a resumed run starts. */
  start?: number;
}): ProgressBar | undefined {
  if (!showsProgress()) return undefined;
  const screen = openScreen(process.stderr);
  let fields: readonly string[] = [];

  const options: Options & { terminal: Screen } = {
    terminal: screen,
    format: (_options, params) => renderLine(settings.label, params, fields, screen.getWidth() - spare),
    etaBuffer: 100, // steps: long enough to contain the pauses for evaluation
    forceRedraw: true, // its memory of what is on the screen is wrong after lines were printed above
    linewrap: true,
    gracefulExit: false, // it would listen to signals, and so keep a Ctrl-C from ending the process
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

/** Shows how much of one piece of work is done: a bar on a terminal; elsewhere a line now and then, if it takes long. */
export function startShare(label: string): { update: (done: number) => void; stop: () => void } {
  const bar = startProgressBar({ label, total: 100 });
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

/** The line in at most `width` columns: the bar shrinks first, then fields go from the right, then the bar. */
export function renderLine(label: string, params: Params, fields: readonly string[], width: number): string {
  const head = `${label} ${formatNumber(params.value)}/${formatNumber(params.total)}`;
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

/** How long it still takes, or how long it has taken. cli-progress says NULL and INF where it does not know yet. */
function timeField({ progress, eta, startTime }: Params): string {
  if (progress >= 1) return `in ${formatDuration((Date.now() - startTime) / 1000)}`;
  return `ETA ${formatDuration(typeof eta === 'number' ? eta : Infinity)}`;
}

function renderBar(progress: number, width: number): string {
  const done = Math.round(progress * width);
  return stderrColors.cyan('━'.repeat(done)) + stderrColors.dim('─'.repeat(width - done));
}

/** What the bar needs of a terminal. cli-progress's own version saves the cursor's place, which scrolling makes wrong. */
interface Screen {
  isTTY(): boolean;
  getWidth(): number;
  /** To the start of what was drawn last; it may cover several rows if the window has become narrower since. */
  cursorTo(): void;
  write(line: string): void;
  clearRight(): void;
  newline(): void;
  cursorSave(): void;
  cursorRestore(): void;
  erase(): void;
}

function openScreen(stream: NodeJS.WriteStream): Screen {
  let drawn = 0; // columns
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
