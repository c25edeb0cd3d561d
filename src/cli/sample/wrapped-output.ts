/** Texts on a terminal, for reading and writing along: a file of its own, as what measures the width of characters loads slowly. */
import { forStdout, print } from '../terminal.ts';
import { asItIs, type Show } from './output.ts';
import { createWordWrap } from './word-wrap.ts';

/** Shows a text that starts at the first column, wrapped at words where a person reads it on a terminal. */
export function showWrapped(): Show {
  if (!process.stdout.isTTY) return asItIs;
  const wrap = createWordWrap(() => process.stdout.columns);
  return (text, style) => print(wrap.push(forStdout(text), style));
}
