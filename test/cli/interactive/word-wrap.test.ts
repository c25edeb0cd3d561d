import { describe, expect, test } from 'vitest';
import { createWordWrap } from '../../../src/cli/interactive/word-wrap.ts';

/** What a terminal shows of pieces: the erasing done, without what is left of blanks at line ends. */
function screen(columns: number, pieces: readonly string[], style?: (text: string) => string): string[] {
  const wrap = createWordWrap(() => columns);
  let shown = '';
  for (const piece of pieces) {
    const written = wrap.push(piece, style);
    for (const part of written.replaceAll('\u001b[K', '').split('\u001b')) {
      const back = /^\[(\d+)D/.exec(part);
      if (back !== null) shown = Array.from(shown).slice(0, -Number(back[1])).join('');
      shown += part.slice(back?.[0].length);
    }
  }
  return shown.split('\n').map((line) => line.trimEnd());
}

describe('streamed text', () => {
  const text = 'the white whale  and the sea.\nof harpoons';
  test.each([[[text]], [Array.from(text)], [text.split(/(?=[aeiou])/)]])(
    'wraps at words, in pieces %#',
    (pieces) => {
      expect(screen(13, pieces)).toEqual(['the white', 'whale  and', 'the sea.', 'of harpoons']);
    },
  );
  test('cuts words that are longer than a line', () => {
    expect(screen(6, ['ab cdefghijk l'])).toEqual(['ab', 'cdefg', 'hijk', 'l']);
  });
  test('counts wide characters as two columns and combining marks as none', () => {
    expect(screen(6, ['鯨鯨 鯨鯨 é́ à a a'])).toEqual(['鯨鯨', '鯨鯨', 'é́ à a', 'a']);
  });
  test('is written with each piece in its style, rewritten words included', () => {
    const wrap = createWordWrap(() => 7);
    const written = wrap.push('ab c', (part) => `<${part}>`) + wrap.push('defg', (part) => `[${part}]`);
    expect(written).toBe('<ab c>[de]\u001b[3D\u001b[K\n<c>[d][e][fg]');
  });
});
