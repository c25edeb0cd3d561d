import { expect, test } from 'vitest';
import { findCopies } from '../../../src/evaluate/memorization/copies.ts';
import type { TokenizedText } from '../../../src/evaluate/tokenized-text.ts';
import { charVocabulary } from '../../../src/tokenizer/char.ts';
import { encode } from '../../../src/tokenizer/tokenizer.ts';

const builder = charVocabulary({ minFrequency: 1, maxSize: Infinity });
builder.push('abcdefghijklmnopqrstuvwxyz .é');
const tokenizer = builder.end();
function tokenized(text: string): TokenizedText {
  const unknown: string[] = [];
  const ids = encode(tokenizer, text, (found) => unknown.push(found.text));
  return { tokenizer, ids, unknown };
}

const line = 'it was the best of times and it was the worst of times for a whale. ';
const training = tokenized(`${line}nothing else is in here. ${line.replaceAll('e', 'é')}`);

test('novel n-grams are counted, in tokens and in words', () => {
  const [{ novel, texts, tokens }] = findCopies([[tokenized('the whale'), tokenized('xyz')]], training);
  expect({ texts, tokens }).toEqual({ texts: 2, tokens: 12 });
  // "the " and "he w" to " wor…": of the 6 + 0 stretches of 4 only "whal" and "hale" and "the ", "he w", " wha" are in the text
  expect(novel.tokens.get(4)).toBeCloseTo(1 / 6, 12);
  expect(novel.tokens.get(32)).toBeUndefined();
  expect(novel.words.get(2)).toBe(1); // "the" + " whale": not next to each other
});

test('copied stretches are found, with their share of the text and their source', () => {
  const copy = line.slice(3, 63);
  const text = `xxxx ${copy}zz`;
  const [{ longest, copiedShare, characters, novel }] = findCopies([[tokenized(text)]], training);
  expect(characters).toBe(text.length);
  expect(longest[0]).toEqual({ text: ` ${copy}`, characters: 61, tokens: 61, position: 2 });
  expect(copiedShare).toBeCloseTo(61 / text.length, 12);
  expect(novel.words.get(8)).toBeLessThan(0.5);
});

test('two unknown characters never match', () => {
  const unknown = tokenized('it was Ж it was');
  const [found] = findCopies([[unknown]], tokenized('it was Я it was'));
  expect(found.longest[0].text.trim()).toBe('it was');
});

test('copies are counted per group of texts', () => {
  const [first, second, none] = findCopies(
    [[tokenized(line)], [tokenized('zzzz'), tokenized('é')], []],
    training,
  );
  expect(first.copiedShare).toBe(1);
  expect(second.copiedShare).toBe(0);
  expect(none).toMatchObject({ texts: 0, tokens: 0, copiedShare: 0, longest: [] });
});
