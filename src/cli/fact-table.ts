/** Facts in two columns, as in the plan that `train` shows before it starts. */
import { stripVTControlCharacters } from 'node:util';
import { wrapMessage } from './wrap-message.ts';

/** Minimum width of the values, in columns; a terminal narrower than that wraps the lines itself. */
const NARROWEST = 20;

/**
 * Labels padded to one width, each with its value. On a terminal, long values are wrapped at words within their column.
 *
 * @param stream to which the table is printed
 */
export function factTable(
  rows: readonly (readonly [label: string, value: string])[],
  stream: { readonly isTTY?: boolean; readonly columns?: number },
): string {
  const widest = Math.max(...rows.map(([label]) => label.length));
  const column = widest + 4;
  const { isTTY = false, columns = 0 } = stream;
  const width = isTTY && columns > 0 ? Math.max(NARROWEST, columns - column) : Infinity;
  return rows
    .map(([label, value]) => `  ${label.padEnd(widest)}  ${foldValue(value, width, ' '.repeat(column))}`)
    .join('\n');
}

const foldValue = (value: string, width: number, indent: string): string =>
  stripVTControlCharacters(value).length <= width
    ? value
    : wrapMessage(value, width, '').replaceAll('\n', `\n${indent}`);
