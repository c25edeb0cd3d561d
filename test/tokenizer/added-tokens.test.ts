import { describe, expect, test } from 'vitest';
import { encode, type AddedPosition, type TextPart, type Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { byteTokenizer, type AddedFlags } from '../fixtures/byte-tokenizer.ts';

/** The ids of a text that arrives one UTF-16 unit at a time. */
function encodedInUnits(tokenizer: Tokenizer, text: string, part?: TextPart): number[] {
  const encoder = tokenizer.encoder(undefined, part);
  const ids: number[] = [];
  for (let i = 0; i < text.length; i++) ids.push(...encoder.push(text[i]));
  return [...ids, ...encoder.end()];
}

const LOWER = { type: 'Lowercase' };
const NORMALIZED = { normalized: true };
const WORD = { single_word: true };

/** Ids by `tokenizers` 0.23.3. */
const cases: readonly [
  added: Readonly<Record<string, AddedFlags>>,
  normalizer: unknown,
  text: string,
  ids: number[],
][] = [
  [{ '<s>': NORMALIZED }, LOWER, 'a<S>B<s>', [97, 256, 98, 256]],
  [{ '<S>': NORMALIZED }, LOWER, 'a<S>B<s>', [97, 256, 98, 256]],
  [{ '<S>': {} }, LOWER, 'a<S>B<s>', [97, 256, 98, 60, 115, 62]],
  [{ '\ufb01': NORMALIZED }, { type: 'NFKC' }, '\ufb01fi', [256, 256]],
  [{ é: NORMALIZED }, { type: 'NFC' }, 'e\u0301é', [233, 233]],
  [{ '!': {}, é: {} }, null, 'a!é!', [97, 33, 233, 33]],
  [{ '<a>': { rstrip: true }, ' b': { rstrip: true } }, null, '<a>  b c', [256, 257, 99]],
  [{ '<a>': { rstrip: true }, ' b': { rstrip: true } }, null, '<a>  bb', [256, 257, 98]],
  [{ '<a>': { rstrip: true }, '\n': {} }, null, '<a> \n x', [256, 257, 32, 120]],
  [{ é: { rstrip: true }, '\n': { lstrip: true } }, null, 'é\nfi', [233, 102, 105]],
  [{ cat: WORD }, null, 'cat cats a.cat', [256, 32, 99, 97, 116, 115, 32, 97, 46, 256]],
  [
    { cat: { ...WORD, ...NORMALIZED } },
    LOWER,
    'Cat cats a.CAT',
    [256, 32, 99, 97, 116, 115, 32, 97, 46, 256],
  ],
];

describe('added tokens', () => {
  test.each(cases)('%j, normalized by %j, in %j', (added, normalizer, text, ids) => {
    const tokenizer = byteTokenizer(added, { normalizer });
    expect([...encode(tokenizer, text)]).toEqual(ids);
    expect(encodedInUnits(tokenizer, text)).toEqual(ids);
  });
});

describe('a mark', () => {
  const mark = '\ufdd0';
  const part: TextPart = { isFirst: true, isLast: true, mark };
  const bytes = (text: string): number[] => [...Buffer.from(text)];

  test.each<[string, Tokenizer]>([
    ['not normalized', byteTokenizer({ '<s>': {} })],
    ['normalized', byteTokenizer({ '<s>': NORMALIZED }, { normalizer: LOWER })],
    ['only a word', byteTokenizer({ '<s>': WORD })],
    ['made by a merge', byteTokenizer({ '<s>': {} }, { tokens: ['<s', '<s>'], merges: ['< s', '<s >'] })],
    ['a whole word', byteTokenizer({ '<s>': {} }, { tokens: ['<s', '<s>'], model: { ignore_merges: true } })],
  ])('makes a token that begins right after it ordinary text, if it is %s', (_, tokenizer) => {
    const [special] = tokenizer.specialIds;
    const text = `<s>.${mark}<s><s>.${mark}<`;
    const ids = encode(tokenizer, text, undefined, part);
    expect(tokenizer.decode(ids)).toBe('<s>.<s><s>.<');
    expect(ids.filter((id) => id === special)).toHaveLength(2);
    expect([ids[0], ids[1]]).toEqual([special, 46]);
    expect(encodedInUnits(tokenizer, text, part)).toEqual([...ids]);
  });

  test('makes a token of one character ordinary text', () => {
    const tokenizer = byteTokenizer({ '\u{1f40b}': {} });
    const ids = encode(tokenizer, `\u{1f40b}${mark}\u{1f40b}`, undefined, part);
    expect([...ids]).toEqual([256, ...bytes('\u{1f40b}')]);
  });

  test('within the text of a token makes it ordinary text, and changes no other text', () => {
    const tokenizer = byteTokenizer({ '<s>': {} }, { tokens: ['ab'], merges: ['a b'] });
    expect([...encode(tokenizer, `<${mark}s>a${mark}b`, undefined, part)]).toEqual([...bytes('<s>'), 256]);
  });
});

test('an encoder tells where added tokens are, with the white space before them', () => {
  const found: AddedPosition[] = [];
  const tokenizer = byteTokenizer({
    '<a>': { lstrip: true },
    cat: WORD,
    '<b>': { rstrip: true },
    ' x': NORMALIZED,
  });
  const text = 'é <a>cat cats<b>  y x.';
  const ids = encode(tokenizer, text, undefined, {
    isFirst: true,
    isLast: true,
    onAdded: (each) => found.push(each),
  });
  expect(found.map(({ at }) => at)).toEqual([1, 5, 13, 19]);
  for (const { at, index } of found)
    expect([...ids.subarray(index)]).toEqual([...encode(tokenizer, text.slice(at))]);
});
