// Trains a small model on a text, writes with it and measures it: node examples/library.mjs book.txt
import { evaluate, load, sample, train } from 'gpt-trainer';

const { folder, validationLoss } = await train({
  corpus: process.argv.slice(2),
  nLayer: 2,
  nEmbd: 64,
  maxIters: 60,
});
console.log(`${folder}: ${validationLoss.toFixed(3)} nats per character`);

const model = await load(folder);
for await (const text of sample(model, 'The ', { maxTokens: 80, seed: 1 })) process.stdout.write(text);
const { bitsPerByte } = await evaluate(model, 'The sea was calm, and the sky was grey.');
console.log(`\n${bitsPerByte.toFixed(2)} bits per byte`);
await model.close();
