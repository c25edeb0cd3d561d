/** Tokens in tables: one line each, so many columns wide, with what cannot be seen made visible. */
import stringWidth from 'string-width';
import { visible } from '../inspect/token-text.ts';
import { printable } from './terminal.ts';

/** A token's text with white space as signs: `␣whale`, `↵`. */
export const tokenLabel = (text: string): string => printable(visible(text));

/** How many columns a text takes on a terminal. */
export const columnsOf = (text: string): number => stringWidth(text);

/** Text cut to so many columns, the last of them `…` if anything is missing. */
export function cut(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let shown = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (columnsOf(shown + segment) > columns - 1) break;
    shown += segment;
  }
  return `${shown}…`;
}

/** Text cut or filled up with spaces to exactly so many columns. */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const shown = cut(text, columns);
  const space = ' '.repeat(Math.max(0, columns - columnsOf(shown)));
  return align === 'left' ? shown + space : space + shown;
}
