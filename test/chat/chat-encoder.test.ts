import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ChatEncoder } from '../../src/chat/chat-encoder.ts';
import { chatFormOf, chatmlForm, withChatml, withForm } from '../../src/chat/chat-form.ts';
import { chatmlRenderer, ChatRenderer } from '../../src/chat/chat-renderer.ts';
import { ChatTemplate } from '../../src/chat/chat-template.ts';
import { CHATML, CHATML_TOKENS } from '../../src/chat/chatml.ts';
import type { Conversation } from '../../src/chat/conversation.ts';
import { openCorpus, type Corpus } from '../../src/data/corpus.ts';
import { newTokenizer as buildTokenizer, tokenizeCorpus } from '../../src/data/tokenize.ts';
import { tokenizerKinds, tokenizers } from '../../src/tokenizer/registry.ts';
import { encode, END_OF_TEXT, type Tokenizer, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';
import { byteTokenizer, type AddedFlags } from '../fixtures/byte-tokenizer.ts';
import { failure } from '../fixtures/failure.ts';
import { templates } from './templates.ts';

const TEXT = 'user assistant system\nHi, hello there! What is it? \nIt is a cat. \nNo. \n\n  ok. d';

function newTokenizer(kind: TokenizerKind): Tokenizer {
  const builder = tokenizers[kind].vocabulary({
    minFrequency: 1,
    specialTokens: CHATML_TOKENS,
    maxSize: kind === 'bpe' ? 300 : undefined,
  });
  builder.push(`${END_OF_TEXT}${TEXT} <|im_end|> <|>_ <|im_start|>${END_OF_TEXT}`);
  return withChatml(builder.end());
}

const dialogue = (...contents: string[]): Conversation =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));

const encoded = (tokenizer: Tokenizer, conversation: Conversation, renderer = chatmlRenderer()) => {
  const texts = renderer.texts(conversation);
  if ('problem' in texts) throw new Error(texts.problem);
  return new ChatEncoder(tokenizer).encode(texts[0]);
};

const countedText = (tokenizer: Tokenizer, { ids, counted }: ReturnType<typeof encoded>): string =>
  tokenizer.decode(ids.filter((_, i) => counted[i] === 1));

describe.each(tokenizerKinds)('a conversation in %s tokens', (kind) => {
  const tokenizer = newTokenizer(kind);

  test('has the ids of its text, and the special tokens of ChatML', () => {
    const conversation = dialogue('What is it?', 'It is a cat.');
    const { ids } = encoded(tokenizer, conversation);
    expect(ids).toEqual(encode(tokenizer, chatmlRenderer().template.render(conversation)));
    for (const token of CHATML_TOKENS)
      expect(ids.filter((id) => id === tokenizer.vocabulary.indexOf(token))).toHaveLength(2);
  });

  test('counts answers and what ends them', () => {
    const chat = encoded(tokenizer, dialogue('What is it?', 'It is a cat.', 'No.', ' ok.'));
    expect(countedText(tokenizer, chat)).toBe('It is a cat.<|im_end|> ok.<|im_end|>');
  });

  test('does not have special tokens that somebody has said', () => {
    const conversation = dialogue('Hi<|im_end|>', 'No. <|im_end|>');
    const chat = encoded(tokenizer, conversation);
    const end = tokenizer.vocabulary.indexOf('<|im_end|>');
    expect(chat.ids.filter((id) => id === end)).toHaveLength(2);
    if (kind !== 'word')
      expect(tokenizer.decode(chat.ids)).toBe(chatmlRenderer().template.render(conversation));
  });

  test('ends where an answer does', () => {
    const [end, text] = ['<|im_end|>', END_OF_TEXT].map((token) => tokenizer.vocabulary.indexOf(token));
    expect([...tokenizer.special.endIds]).toEqual([end, text]);
    expect(tokenizer.special.startId).toBe(text);
  });
});

test('an answer is counted from the first token that differs from the prompt', () => {
  const tokenizer = newTokenizer('bpe');
  const renderer = new ChatRenderer(
    new ChatTemplate(templates['plain'], { name: 'T', tokens: {} }),
    tokenizer.specialTexts,
  );
  // The prompt ends with "assistant:", and the space is part of the first token of the answer.
  expect(countedText(tokenizer, encoded(tokenizer, dialogue('Hi', 'No.'), renderer))).toBe(' No.\n');
});

describe('the form of a model', () => {
  const chatml = newTokenizer('char');

  test('separates conversations by a token that its template does not use', () => {
    expect(chatFormOf(chatml, 'M').separator).toBe(END_OF_TEXT);
    const padded = byteTokenizer({ '<|im_start|>': {}, '<|im_end|>': {}, '<s>': {}, '<pad>': {} });
    const withStart = { ...padded, chatTemplate: `{{ '<s>' }}${CHATML}` };
    expect(chatFormOf(withStart, 'M').separator).toBe('<pad>');
    const ofSystem = `${CHATML}{% if messages[0].role == 'system' %}{{ '<pad>' }}{% endif %}`;
    expect(chatFormOf({ ...padded, chatTemplate: ofSystem }, 'M').separator).toBe('<s>');
  });

  test('is refused if the template uses every token, or a text could be the one that is left', () => {
    const withEnds = { ...chatml, chatTemplate: `${CHATML}{{ '${END_OF_TEXT}' }}` };
    expect(() => chatFormOf(withEnds, 'M')).toThrow(failure('unsuitable-tokenizer', 'M', 'separate'));
  });

  test('ends generation with what ends an answer', () => {
    const base: Tokenizer = {
      ...chatml,
      chatTemplate: undefined,
      special: { ...chatml.special, endIds: new Set([chatml.vocabulary.indexOf(END_OF_TEXT)]) },
    };
    const { special, chatTemplate } = withForm(base, chatFormOf(base, 'M'));
    expect(chatTemplate).toBe(CHATML);
    expect([...special.endIds]).toEqual([...chatml.special.endIds]);
  });
});

describe('answers are counted to the token that ends them, with special tokens that are', () => {
  const source =
    '{% for m in messages %}<a> {{ m.role }}: {{ m.content }} <b>\n{% endfor %}{% if add_generation_prompt %}<a> assistant:{% endif %}';
  const conversation = dialogue('Hi <b>', 'Hello <a>!', 'é<a>', '<b>', 'Bye', '  So long. ');
  const spaced = [' Hello <a>! <b>', ' <b> <b>', '   So long.  <b>'];

  test.each<[string, AddedFlags, unknown, string[]]>([
    ['plain', {}, null, spaced],
    ['single words', { single_word: true }, null, spaced],
    [
      'found with the white space before',
      { lstrip: true },
      null,
      spaced.map((text) => text.replace(/ +<b>$/, '<b>')),
    ],
    ['found with the white space after', { rstrip: true }, null, spaced],
    ['normalized', { normalized: true }, null, spaced],
    ['normalized by a normalizer', { normalized: true }, { type: 'NFC' }, spaced],
    ['normalized single words', { single_word: true, normalized: true }, { type: 'NFC' }, spaced],
  ])('%s', (_, flags, normalizer, answers) => {
    const tokenizer = byteTokenizer({ '<a>': flags, '<b>': flags }, { normalizer });
    const renderer = new ChatRenderer(
      new ChatTemplate(source, { name: 'T', tokens: {} }),
      tokenizer.specialTexts,
    );
    const { ids, counted } = encoded(tokenizer, conversation, renderer);
    const runs = Array.from([...counted].join('').matchAll(/1+/g), ({ 0: run, index }) =>
      ids.subarray(index, index + run.length),
    );
    expect(runs.map((run) => tokenizer.decode(run))).toEqual(answers);
    for (const run of runs)
      expect(run.filter((id) => tokenizer.specialIds.includes(id))).toEqual(run.slice(-1));
    expect(ids.filter((id) => tokenizer.specialIds.includes(id))).toHaveLength(2 * conversation.length);
  });
});

describe('a message that a tokenizer takes for a special token in another way is refused', () => {
  test.each<[string, Tokenizer, string]>([
    [
      'by its normalizer',
      byteTokenizer({ '<s>': { normalized: true } }, { normalizer: { type: 'Lowercase' } }),
      '<S>',
    ],
    ['because it is the only token of a byte', byteTokenizer({ '!': {} }), 'a!'],
  ])('%s', (_, tokenizer, content) => {
    const renderer = new ChatRenderer(
      new ChatTemplate(CHATML, { name: 'T', tokens: {} }),
      tokenizer.specialTexts,
    );
    expect(() => encoded(tokenizer, dialogue(content, 'Hi'), renderer)).toThrow(
      failure('unsuitable-tokenizer', JSON.stringify(tokenizer.specialTexts[0]), content),
    );
    expect(() => new ChatEncoder(tokenizer).ids(renderer.prompt(dialogue(content)))).toThrow(
      failure('unsuitable-tokenizer'),
    );
    expect(() => encoded(tokenizer, dialogue('a', 'Hi'), renderer)).not.toThrow();
  });
});

describe.each(tokenizerKinds)('a new %s vocabulary', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'said-'));
  const file = join(folder, 'chat.jsonl');
  const messages = dialogue('What is <|im_end|>?', 'It ends <q> or <|endoftext|>.');
  writeFileSync(file, `${JSON.stringify({ messages })}\n`.repeat(2));
  const build = (own: readonly string[]): { corpus: Corpus; tokenizer: Tokenizer } => {
    const corpus = openCorpus([file], { documents: 'chat', chat: () => chatmlForm(own) });
    const vocabulary = (specialTokens: readonly string[]) =>
      tokenizers[kind].vocabulary({
        minFrequency: 1,
        specialTokens,
        maxSize: kind === 'bpe' ? 400 : undefined,
      });
    return { corpus, tokenizer: buildTokenizer(corpus, vocabulary, own) };
  };

  test('covers special tokens that somebody says', () => {
    const { corpus, tokenizer } = build(['<q>']);
    const { ids, unknown } = tokenizeCorpus(corpus, tokenizer);
    expect(unknown).toBe(0);
    const count = (token: string): number =>
      ids.filter((id) => id === tokenizer.specialIds[tokenizer.specialTexts.indexOf(token)]).length;
    expect([count('<|im_end|>'), count('<q>'), count(END_OF_TEXT)]).toEqual([4, 0, 3]);
    expect(tokenizer.decode(ids)).toContain('user\nWhat is <|im_end|>?<|im_end|>');
  });

  test('has a special token once', () => {
    const { vocabulary, specialTexts } = build(['<q>']).tokenizer;
    for (const token of specialTexts) expect(vocabulary.filter((each) => each === token)).toHaveLength(1);
    if (kind === 'word') expect(() => build(['What'])).toThrow(failure('bad-option-value', '"What"'));
  });
});

test('a conversation in which a template writes the separator is refused', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'separator-')), 'chat.jsonl');
  writeFileSync(file, `${JSON.stringify({ messages: dialogue('Long '.repeat(9), 'Hi') })}\n`);
  const source = `{% if messages[0].content|length > 9 %}<pad>{% endif %}${CHATML}`;
  const tokenizer: Tokenizer = {
    ...byteTokenizer({ '<|im_start|>': {}, '<|im_end|>': {}, '<pad>': {} }),
    chatTemplate: source,
  };
  const corpus = openCorpus([file], { documents: 'chat', chat: () => chatFormOf(tokenizer, 'M') });
  expect(() => tokenizeCorpus(corpus, tokenizer)).toThrow(failure('bad-template', '<pad>'));
});
