/**
 * Encodes and decodes texts with any tokenizer, for test_open_tokenizers.py. Each line of stdin is JSON, {tokenizer, texts};
 * the answer is a line with the ids of each text, and the text that they decode to.
 */
import { createInterface } from 'node:readline';
import { readTokenizer } from '../../dist/checkpoint/tokenizer-files.js';
import { encodeWhole } from '../../dist/tokenizer/tokenizer.js';

let path, tokenizer, encoder;
for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  if (task.tokenizer !== path) {
    path = task.tokenizer;
    tokenizer = readTokenizer(path);
    encoder = tokenizer.encoder();
  }
  const answers = task.texts.map((text) => {
    const ids = Array.from(encodeWhole(encoder, text));
    return [ids, tokenizer.decode(ids)];
  });
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
