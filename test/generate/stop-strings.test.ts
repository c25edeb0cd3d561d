import { array, assert, constantFrom, property, string, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stopScanner } from '../../src/generate/stop-strings.ts';

function scan(pieces: readonly string[], stops: readonly string[]): { shown: string; stopped: boolean } {
  const scanner = stopScanner(stops);
  let shown = '';
  for (const piece of pieces) shown += scanner.push(piece);
  if (!scanner.stopped) shown += scanner.end();
  return { shown, stopped: scanner.stopped };
}

describe('stop strings', () => {
  test('are found across pieces, and removed', () => {
    expect(scan(['ab', 'cd', 'ef'], ['cde'])).toEqual({ shown: 'ab', stopped: true });
    expect(scan(['ab', 'cd', 'ef'], ['cdx'])).toEqual({ shown: 'abcdef', stopped: false });
    expect(scan(['a', 'a', 'b'], ['ab'])).toEqual({ shown: 'a', stopped: true });
    expect(scan(['anything'], [])).toEqual({ shown: 'anything', stopped: false });
  });

  test('hold back only what may become one', () => {
    const scanner = stopScanner(['\n\n', 'END']);
    expect(scanner.push('one\n')).toBe('one');
    expect(scanner.push('two E')).toBe('\ntwo ');
    expect(scanner.push('N')).toBe('');
    expect(scanner.push('TER')).toBe('ENTER');
    expect(scanner.push('\n')).toBe('');
    expect(scanner.push('\nmore')).toBe('');
    expect(scanner.stopped).toBe(true);
    expect(scanner.push('more')).toBe('');
  });

  test('match at the first end, the longest of several that end together', () => {
    expect(scan(['xabcy'], ['bc', 'abc'])).toEqual({ shown: 'x', stopped: true });
    expect(scan(['xabcy'], ['abcy', 'b'])).toEqual({ shown: 'xa', stopped: true });
  });

  test('match wherever the text is cut', () => {
    const letters = string({ unit: constantFrom('a', 'b', '\n'), maxLength: 4 });
    const stops = array(string({ unit: constantFrom('a', 'b', '\n'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    assert(
      property(tuple(array(letters, { maxLength: 12 }), stops), ([pieces, ends]) => {
        const text = pieces.join('');
        const whole = scan([text], ends);
        expect(scan(pieces, ends)).toEqual(whole);
        expect(scan(Array.from(text), ends)).toEqual(whole);
        expect(whole.stopped).toBe(ends.some((end) => text.includes(end)));
        expect(ends.some((end) => whole.shown.includes(end))).toBe(false);
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});
