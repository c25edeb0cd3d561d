import stringWidth from 'string-width';

/**
 * Columns with headings, right-aligned but for the first and those of `left`.
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
