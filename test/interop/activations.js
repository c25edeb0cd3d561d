/** Prints what our model attends to and expects while it reads, as JSON: `node activations.js FOLDER '[1,2,3]'`. */
import { openModelFolder } from '../../dist/checkpoint/open-model.js';
import { createWasmBackend } from '../../dist/engine/wasm.js';
import { readActivations } from '../../dist/inspect/activations.js';
import { attentionMap } from '../../dist/inspect/attention.js';

const [folder, ids] = process.argv.slice(2);
const model = openModelFolder(folder);
const backend = await createWasmBackend();
const load = (tensors) => model.load(tensors);
const activations = await readActivations(backend, model.config, load, JSON.parse(ids));
const { nLayer, nHead } = model.config;
const attentions = Array.from({ length: nLayer }, (_, layer) =>
  Array.from({ length: nHead }, (__, head) => Array.from(attentionMap(activations, layer, head))),
);
const residuals = activations.residuals.map((residual) => Array.from(residual));
const lens = [];
for (const residual of activations.residuals) lens.push(Array.from(await activations.logits(residual)));
process.stdout.write(JSON.stringify({ attentions, residuals, lens }));
await backend.close();
