/**
 * Runs llama.cpp: `node llama-cpp.js FOLDER < tasks.json`, where FOLDER has node-llama-cpp in its node_modules. For each
 * task {file, prompt, count} it prints, as a JSON list, the prompt's ids, the ids of the `count` likeliest next tokens, one
 * after the other, and the text of the prompt's ids.
 */
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder] = process.argv.slice(2);
const library = pathToFileURL(join(folder, 'node_modules/node-llama-cpp/dist/index.js'));
const { getLlama, LlamaLogLevel } = await import(library.href);
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
const results = [];
for (const { file, prompt, count } of JSON.parse(await text(process.stdin))) {
  const model = await llama.loadModel({ modelPath: file });
  const ids = model.tokenize(prompt, true);
  const greedy = [];
  if (count > 0) {
    const context = await model.createContext({
      contextSize: ids.length + count,
      threads: 1,
      experimentalKvCacheKeyType: 'F32',
      experimentalKvCacheValueType: 'F32',
    });
    const sequence = context.getSequence();
    for await (const id of sequence.evaluate(ids, { temperature: 0 })) {
      greedy.push(id);
      if (greedy.length === count) break;
    }
    await context.dispose();
  }
  results.push({ ids, greedy, text: model.detokenize(ids, true) });
  await model.dispose();
}
process.stdout.write(JSON.stringify(results));
await llama.dispose();
