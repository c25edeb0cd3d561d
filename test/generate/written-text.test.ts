import { describe, expect, test } from 'vitest';
import { WrittenText } from '../../src/generate/written-text.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';

/** Token id i adds the text pieces[i]; what is left at the end is `rest`. */
const tokenizerOf = (pieces: readonly string[], rest = ''): Tokenizer =>
  ({
    decoder: () => ({ push: ([id]: number[]) => pieces[id], end: () => rest }),
  }) as unknown as Tokenizer;

describe('a growing text', () => {
  const ends = { maxTokens: 4, stopStrings: ['xy'], stopIds: new Set([9]) };

  test('takeNewText returns each part once, and all parts together are the text', () => {
    const written = new WrittenText(tokenizerOf(['a', '', 'bx', 'c'], '\ufffd'), ends);
    const parts = [0, 1, 2, 3].map((id) => {
      written.push(id);
      return written.takeNewText();
    });
    expect(parts).toEqual(['a', '', 'b', 'xc\ufffd']); // x may begin the stop string
    expect(written.takeNewText()).toBe('');
    expect(written.text).toBe('abxc\ufffd');
  });

  test('takeNewText collects what several tokens add', () => {
    const written = new WrittenText(tokenizerOf(['a', 'b', 'x', 'y']), ends);
    for (const id of [0, 1, 2, 3]) written.push(id);
    expect(written.takeNewText()).toBe('ab');
    expect(written.finishReason).toBe('stop');
  });
});
