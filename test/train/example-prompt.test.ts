import { expect, test } from 'vitest';
import { buildVocabulary } from '../../src/data/tokenize.ts';
import { textCorpus } from '../../src/data/text-corpus.ts';
import { tokenizers } from '../../src/tokenizer/registry.ts';
import { encode, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';
import { examplePrompt } from '../../src/train/example-prompt.ts';

function promptOf(
  text: string,
  kind: TokenizerKind = 'char',
  learnt = text,
  minFrequency = 1,
): string | undefined {
  const tokenizer = buildVocabulary(textCorpus(learnt), tokenizers[kind].vocabulary({ minFrequency }));
  const ids = encode(tokenizer, text);
  return examplePrompt({ length: ids.length, slice: (a, b) => ids.subarray(a, b) }, tokenizer);
}

test.each(['char', 'word', 'bpe'] as const)(
  'an example prompt is the start of a line, in whole words: %s',
  (kind) => {
    const text = 'of the last line.\nCall me Ishmael. Some years ago, never mind how long.\n'.repeat(20);
    expect(promptOf(text, kind)).toMatch(/^(Call me Ishmael\. Some|of the last line)$/);
  },
);
test('an example prompt needs no quoting in a shell', () => {
  expect(promptOf('$(rm -rf x)\n\u001b[31mred\n<|endoftext|> a\nfor the sea\n'.repeat(30))).toBe(
    'for the sea',
  );
});
test('an example prompt consists of known tokens', () => {
  const known = 'the sea and the ship\n'.repeat(30);
  expect(promptOf(`zebras graze\n${known}`, 'word', known)).toMatch(/^[aehinpst d]+$/);
});
test('a text without words has no example prompt', () => {
  expect(promptOf('0 1 2 3\n'.repeat(40))).toBeUndefined();
  expect(promptOf('{}\n')).toBeUndefined();
});
