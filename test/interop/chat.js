/**
 * Conversations in the tokens of a model, for test_chat.py. Each line of stdin is JSON, {model, messages}; the answer is a
 * line with each text of the conversation, its ids and which of them count, and the ids of its prompt.
 */
import { createInterface } from 'node:readline';
import { ChatEncoder } from '../../dist/chat/chat-encoder.js';
import { chatFormOf } from '../../dist/chat/chat-form.js';
import { withoutMark } from '../../dist/chat/chat-renderer.js';
import { readTokenizer } from '../../dist/checkpoint/tokenizer-files.js';

let path, renderer, encoder;
for await (const line of createInterface({ input: process.stdin })) {
  const { model, messages } = JSON.parse(line);
  if (model !== path) {
    path = model;
    const tokenizer = readTokenizer(model);
    ({ renderer } = chatFormOf(tokenizer, model));
    encoder = new ChatEncoder(tokenizer);
  }
  const texts = renderer.texts(messages);
  const answer = Array.isArray(texts)
    ? {
        prompt: Array.from(encoder.ids(renderer.prompt(messages), () => {})),
        texts: texts.map((text) => {
          const { ids, counted } = encoder.encode(text, () => {});
          return { text: withoutMark(text), ids: Array.from(ids), counted: Array.from(counted) };
        }),
      }
    : texts;
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
