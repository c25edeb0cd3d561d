/** Tokens in tables: on one line, of fixed width, with visible white space. */
import stringWidth from 'string-width';
import { visible } from '../inspect/token-text.ts';
import { printable } from './terminal.ts';

/** Text with visible white space: `␣whale`, `↵`. */
export const tokenLabel = (text: string): string => printable(visible(text));

/** Width of a text in terminal columns. */
export const columnsOf = (text: string): number => stringWidth(text);

/** Truncates a text to a width, ending in `…` if anything is missing. */
export function cut(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let shown = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (columnsOf(shown + segment) > columns - 1) break;
    shown += segment;
  }
  return `${shown}…`;
}

/** The same, keeping the end of the text: `…sis/corpus.txt`. */
export function cutStart(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let shown = '';
  for (const { segment } of Array.from(new Intl.Segmenter().segment(text)).toReversed()) {
    if (columnsOf(segment + shown) > columns - 1) break;
    shown = segment + shown;
  }
  return `…${shown}`;
}

/** Truncates or pads a text to a width. */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const shown = cut(text, columns);
  const space = ' '.repeat(Math.max(0, columns - columnsOf(shown)));
  return align === 'left' ? shown + space : space + shown;
}
