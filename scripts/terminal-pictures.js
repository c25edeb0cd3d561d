/**
 * Draws the terminal output of commands for the README: docs/pictures/*.svg. Needs tmux, and an idle computer, because speeds
 * are shown.
 *
 *     node scripts/terminal-pictures.js
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const SESSION = `gpt-pictures-${process.pid}`;
const PROMPT = '$ ';

/** Command line, size of the terminal, and the text after whose appearance the picture is taken. */
const pictures = {
  // Trains the model that the other pictures show.
  train: {
    line: 'npx gpt train data/moby-dick.txt --minutes 1',
    columns: 100,
    rows: 46,
    until: /\n\$ $/,
  },
  sample: {
    line: 'npx gpt sample -m checkpoints/moby-dick-1 --prompt "The white wha" -n 14 --seed 3 --show-probs',
    columns: 100,
    rows: 40,
    until: /\n\$ $/,
  },
  attention: {
    line: 'npx gpt inspect checkpoints/moby-dick-1 --attention "The white wha" --layer 1',
    columns: 100,
    rows: 48,
    until: /\n\$ $/,
  },
};

const tmux = (...args) => execFileSync('tmux', args, { encoding: 'utf8', cwd: root });

/** A folder like a fresh checkout, so that the user's runs are neither shown nor changed. */
const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
symlinkSync(join(root, 'data'), join(folder, 'data'));
const program = `npx() { shift; GPT_STARTED_AS=node_modules/.bin/gpt '${process.execPath}' '${join(root, 'bin/gpt.js')}' "$@"; }`;

async function record({ line, columns, rows, until }) {
  const shell = `env PS1='${PROMPT}' TERM=tmux-256color bash --norc --noprofile`;
  tmux('new-session', '-d', '-s', SESSION, '-c', folder, '-x', String(columns), '-y', String(rows), shell);
  const type = (text) => {
    tmux('send-keys', '-t', SESSION, '-l', text);
    tmux('send-keys', '-t', SESSION, 'Enter');
  };
  try {
    await sleep(500);
    type(`${program}; clear`);
    await sleep(500);
    type(line);
    const end = Date.now() + 15 * 60_000;
    for (;;) {
      await sleep(200);
      const shown = tmux('capture-pane', '-p', '-t', SESSION).trimEnd();
      if (until.test(`${shown} `.replace(/\$ $/, '$ '))) break;
      if (Date.now() > end) throw new Error(`${until} has not appeared:\n${shown}`);
    }
    return tmux('capture-pane', '-e', '-p', '-t', SESSION).trimEnd().split('\n');
  } finally {
    tmux('kill-session', '-t', SESSION);
  }
}

const CELL = { width: 8.4, height: 18 };
const FOREGROUND = '#d6dbe3';
const BACKGROUND = '#1b1f27';
const PALETTE = [
  '#3b4252 #e06c75 #8fbf7f #e0b568 #6ba4e8 #c58fd6 #5fbfc0 #c8ced8',
  '#6b7484 #f08c94 #a9d69a #f0cb86 #8dbcf5 #d8abe6 #84d6d7 #f2f5f9',
].flatMap((row) => row.split(' '));

/** One of the 256 colors of xterm: 16 of the palette, a cube of 6×6×6, and 24 grays. */
function indexed(n) {
  if (n < 16) return PALETTE[n];
  const level = (step) => (step === 0 ? 0 : 55 + 40 * step);
  const cube = n - 16;
  const gray = 8 + 10 * (n - 232);
  const [r, g, b] =
    n >= 232
      ? [gray, gray, gray]
      : [level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)];
  return `rgb(${r},${g},${b})`;
}

/** Applies the codes of an SGR sequence to a style (ECMA-48, 8.3.117). */
function restyle(style, codes) {
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) style = {};
    else if (code === 1) style = { ...style, bold: true };
    else if (code === 2) style = { ...style, dim: true };
    else if (code === 7) style = { ...style, inverse: true };
    else if (code === 22) style = { ...style, bold: false, dim: false };
    else if (code === 27) style = { ...style, inverse: false };
    else if (code === 38 || code === 48) {
      const which = code === 38 ? 'color' : 'background';
      if (codes[i + 1] === 5) style = { ...style, [which]: indexed(codes[i + 2]) };
      else style = { ...style, [which]: `rgb(${codes.slice(i + 2, i + 5).join()})` };
      i += codes[i + 1] === 5 ? 2 : 4;
    } else if (code === 39) style = { ...style, color: undefined };
    else if (code === 49) style = { ...style, background: undefined };
    else if (code >= 30 && code < 38) style = { ...style, color: PALETTE[code - 30] };
    else if (code >= 40 && code < 48) style = { ...style, background: PALETTE[code - 40] };
    else if (code >= 90 && code < 98) style = { ...style, color: PALETTE[code - 82] };
    else if (code >= 100 && code < 108) style = { ...style, background: PALETTE[code - 92] };
  }
  return style;
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** Stretches of one style: where they start, in columns, and their text. */
function spansOf(line) {
  const spans = [];
  let style = {};
  let column = 0;
  // eslint-disable-next-line no-control-regex
  for (const [piece, sequence] of line.matchAll(/\u001b\[([\d;]*)m|[^\u001b]+/g)) {
    if (sequence !== undefined) style = restyle(style, sequence.split(';').map(Number));
    else {
      // Renderers collapse spaces, so each stretch of words is placed at its column. Boxes keep theirs.
      for (const match of piece.matchAll(
        style.background === undefined && !style.inverse ? /\S+(?: \S+)*/g : /.+/g,
      ))
        spans.push({
          column: column + Array.from(piece.slice(0, match.index)).length,
          text: match[0],
          style,
        });
      column += Array.from(piece).length;
    }
  }
  return spans;
}

function draw(lines, columns, label) {
  const [width, height] = [Math.ceil(columns * CELL.width + 24), lines.length * CELL.height + 24];
  const body = lines.flatMap((line, row) =>
    spansOf(line).map(({ column, text, style }) => {
      const x = 12 + column * CELL.width;
      const y = 12 + row * CELL.height;
      const length = Array.from(text).length * CELL.width;
      const color = style.inverse ? (style.background ?? BACKGROUND) : (style.color ?? FOREGROUND);
      const background = style.inverse ? (style.color ?? FOREGROUND) : style.background;
      const box =
        background === undefined
          ? ''
          : `<rect x="${x.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${CELL.height}" fill="${background}"/>`;
      if (text.trim() === '') return box;
      const attributes = `${style.bold ? ' font-weight="bold"' : ''}${style.dim ? ' opacity=".6"' : ''}${color === FOREGROUND ? '' : ` fill="${color}"`}`;
      return `${box}<text x="${x.toFixed(1)}" y="${y + 13}" textLength="${length.toFixed(1)}" lengthAdjust="spacingAndGlyphs"${attributes}>${escaped(text)}</text>`;
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(label)}" font-family="ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="14" fill="${FOREGROUND}" xml:space="preserve">
<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>
${body.filter((each) => each !== '').join('\n')}
</svg>
`;
}

mkdirSync(new URL('../docs/pictures', import.meta.url), { recursive: true });
for (const [name, picture] of Object.entries(pictures)) {
  const svg = draw(await record(picture), picture.columns, `Terminal: ${picture.line}`);
  writeFileSync(new URL(`../docs/pictures/${name}.svg`, import.meta.url), svg);
  process.stdout.write(`docs/pictures/${name}.svg, ${svg.length} bytes\n`);
}
