/** Facts in two columns, as in the plan that `train` shows before it starts. */
import { stripVTControlCharacters } from 'node:util';
import { wrapMessage } from './wrap-message.ts';

/** Columns that a value keeps, however long the labels: a narrower window wraps the lines itself. */
const NARROWEST = 20;

/**
 * Labels padded to one width, each with its value. On a terminal, a value that is too long is folded at words, under its
 * column.
 *
 * @param stream where the table goes
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
