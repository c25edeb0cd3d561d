/** Word-wrapped output for interactive use. A separate module because measuring text width loads slowly. */
import { forStdout, printDrawn } from '../terminal.ts';
import { asItIs, type Show } from '../show.ts';
import { createWordWrap } from './word-wrap.ts';

/** Starts at the first column; wraps only on a terminal. */
export function showWrapped(): Show {
  if (!process.stdout.isTTY) return asItIs;
  const wrap = createWordWrap(() => process.stdout.columns || 80);
  return (text, style) => printDrawn(wrap.push(forStdout(text), style));
}
