/**
 * Runs llama.cpp: `node llama-cpp.js FOLDER < tasks.json`, where FOLDER has node-llama-cpp in its node_modules. For each
 * task {file, prompt, count} it prints, as a JSON list, the prompt's ids, the ids of the `count` likeliest next tokens, one
 * after the other, and the text of the prompt's ids; for {file, texts} a list of the ids of each text; for
 * {file, messages, count} the ids of the prompt that the chat template of the file makes of a conversation that ends with a
 * user's message, and the text of the likeliest answer.
 */
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder] = process.argv.slice(2);
const library = pathToFileURL(join(folder, 'node_modules/node-llama-cpp/dist/index.js'));
const { getLlama, JinjaTemplateChatWrapper, LlamaLogLevel } = await import(library.href);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });

/** Ids of a whole text, with the token that starts one. */
const idsOf = (model, prompt) => [
  ...(model.tokens.shouldPrependBosToken ? [model.tokens.bos] : []),
  ...model.tokenize(prompt, true),
];

async function likeliest(model, ids, count, isEnd = () => false) {
  if (count === 0) return [];
  const context = await model.createContext({
    contextSize: ids.length + count,
    threads: 1,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  });
  const greedy = [];
  for await (const id of context.getSequence().evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    if (isEnd(id)) break;
    greedy.push(id);
    if (greedy.length === count) break;
  }
  await context.dispose();
  return greedy;
}

async function answer(model, messages, count) {
  const template = model.fileInfo.metadata.tokenizer.chat_template;
  const wrapper = new JinjaTemplateChatWrapper({ template });
  const chatHistory = messages.map(({ role, content }) =>
    role === 'assistant' ? { type: 'model', response: [content] } : { type: role, text: content },
  );
  const { contextText } = wrapper.generateContextState({
    chatHistory: [...chatHistory, { type: 'model', response: [''] }],
  });
  const ids = contextText.tokenize(model.tokenizer);
  const greedy = await likeliest(model, ids, count, (id) => model.isEogToken(id));
  return { ids, text: model.detokenize(greedy) };
}

const results = [];
for (const { file, prompt, count, texts, messages } of JSON.parse(await text(process.stdin))) {
  const model = await llama.loadModel({ modelPath: file });
  if (texts) results.push(texts.map((each) => idsOf(model, each)));
  else if (messages) results.push(await answer(model, messages, count));
  else {
    const ids = idsOf(model, prompt);
    const greedy = await likeliest(model, ids, count);
    results.push({ ids, greedy, text: model.detokenize(ids, true) });
  }
  await model.dispose();
}
process.stdout.write(JSON.stringify(results));
await llama.dispose();
