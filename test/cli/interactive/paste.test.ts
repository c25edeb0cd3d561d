import { describe, expect, test } from 'vitest';
import { createTypedText } from '../../../src/cli/interactive/paste.ts';

/** What the editor is given, line by line, of input that comes in some reads. */
function lines(...reads: string[]): string[] {
  const typed = createTypedText();
  const given: string[] = [];
  let line = '';
  const accept = (text: string): void => {
    line += text;
    while (line.endsWith('\r')) {
      given.push(line);
      typed.nextLine();
      line = typed.push('');
    }
  };
  for (const read of reads) accept(typed.push(read));
  if (line !== '') given.push(line);
  return given;
}
const paste = (text: string): string => `\u001b[200~${text}\u001b[201~`;

describe('typed text', () => {
  test('passes unchanged, including keys', () => {
    expect(lines('a', '\u001b[A', '\u001b', 'b\t', '\u0003', '\r')).toEqual(['a\u001b[A\u001bb\t\u0003\r']);
  });
  test('typed ahead on a terminal that was not in raw mode is line by line', () => {
    expect(lines('/retry\n/undo\nx')).toEqual(['/retry\r', '/undo\r', 'x']);
  });
  test('several lines in one read are a paste: the last line end is Enter', () => {
    expect(lines('one\rtwo\r\n', 'three\r')).toEqual(['one\\ntwo\r', 'three\r']);
  });
});

describe('a marked paste', () => {
  test('becomes the equivalent typed line, and waits for Enter', () => {
    expect(lines(paste('a\rb\r\nc\nd\te\\n\u001b[31m\r'), '\r')).toEqual(['a\\nb\\nc\\nd\\te\\\\n[31m\\n\r']);
  });
  test('is the same wherever reads end', () => {
    const whole = `x${paste('one\r\ntwo\rthree')}y\r${paste('four\r')}`;
    for (let at = 1; at < whole.length; at++)
      expect(lines(whole.slice(0, at), whole.slice(at)).join('')).toBe('xone\\ntwo\\nthreey\rfour\\n');
  });
  test('after a typed line end belongs to the next line', () => {
    expect(lines(`a\r${paste('b\rc')}`, 'd\r')).toEqual(['a\r', 'b\\ncd\r']);
  });
});
