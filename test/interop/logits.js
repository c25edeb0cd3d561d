/** Prints the logits of a model after each token of a sequence, as JSON: `node logits.js FOLDER '[1,2,3]'`. */
import { openModelFolder } from '../../dist/checkpoint/open-model.js';
import { createWasmBackend } from '../../dist/engine/wasm.js';
import { Decoder } from '../../dist/generate/decoder.js';

const [folder, ids] = process.argv.slice(2);
const model = openModelFolder(folder);
const backend = await createWasmBackend();
const decoder = Decoder.create(backend, model.config, (tensors) => model.load(tensors), 1, model.storageOf);
const logits = [];
for (const id of JSON.parse(ids)) logits.push(Array.from(await decoder.read([id])));
process.stdout.write(JSON.stringify(logits));
await backend.close();
