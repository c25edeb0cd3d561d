import stringWidth from 'string-width';

/**
 * A table with headings, right-aligned except for the first column and those in `left`.
 *
 * @param left indices of further columns that are left-aligned
 */
export function formatColumns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  left: readonly number[] = [],
): string {
  const widths = head.map((title, i) =>
    Math.max(stringWidth(title), ...rows.map((row) => stringWidth(row[i]))),
  );
  const aligned = (cell: string, i: number): string => {
    const padding = ' '.repeat(widths[i] - stringWidth(cell));
    return i === 0 || left.includes(i) ? `${cell}${padding}` : `${padding}${cell}`;
  };
  return [head, ...rows].map((cells) => `  ${cells.map(aligned).join('  ')}`.trimEnd()).join('\n');
}
