/** Texts wrapped at words, for interactive use. A file of its own, since the module that measures widths loads slowly. */
import { forStdout, printDrawn } from '../terminal.ts';
import { asItIs, type Show } from './output.ts';
import { createWordWrap } from './word-wrap.ts';

/** Shows a text that starts at the first column, wrapped at words where a person reads it on a terminal. */
export function showWrapped(): Show {
  if (!process.stdout.isTTY) return asItIs;
  const wrap = createWordWrap(() => process.stdout.columns);
  return (text, style) => printDrawn(wrap.push(forStdout(text), style));
}
