import { describe, expect, test } from 'vitest';
import { ChatEncoder } from '../../src/chat/chat-encoder.ts';
import { chatFormOf, withChatml, withForm } from '../../src/chat/chat-form.ts';
import { chatmlRenderer, ChatRenderer } from '../../src/chat/chat-renderer.ts';
import { ChatTemplate } from '../../src/chat/chat-template.ts';
import { CHATML, CHATML_TOKENS } from '../../src/chat/chatml.ts';
import type { Conversation } from '../../src/chat/conversation.ts';
import { tokenizerKinds, tokenizers } from '../../src/tokenizer/registry.ts';
import { encode, END_OF_TEXT, type Tokenizer, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';
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
    const withEnds = { ...chatml, chatTemplate: `${CHATML}{{ '${END_OF_TEXT}' }}` };
    expect(chatFormOf(withEnds, 'M').separator).toBe('<unk>');
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
