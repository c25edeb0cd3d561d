import { expect, test } from 'vitest';
import { factTable } from '../../src/cli/fact-table.ts';

const rows = [
  ['model', '2 layers, 2 heads, 64 channels, dropout 0.2'],
  ['parameters', '108K'],
] as const;

test('labels are padded to one width', () => {
  expect(factTable(rows, {})).toBe(
    '  model       2 layers, 2 heads, 64 channels, dropout 0.2\n  parameters  108K',
  );
});

test('on a terminal, a long value is folded at words under its column', () => {
  expect(factTable(rows, { isTTY: true, columns: 40 })).toBe(
    ['  model       2 layers, 2 heads, 64', '              channels, dropout 0.2', '  parameters  108K'].join(
      '\n',
    ),
  );
});
