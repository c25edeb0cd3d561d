/**
 * GEMM speed in WebAssembly and with a BLAS library; the two alternate.
 *
 *     npm run build && node_modules/.bin/node bench/blas.js LIBRARY [--rounds 9] [--threads 1,2]
 */
import { parseArgs } from 'node:util';
import { timedProduct } from '../dist/engine/timed-product.js';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { markdown, median, times } from './common.js';
import { machine } from './machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '9' }, threads: { type: 'string', default: '1,2' } },
});
const [path] = positionals;
if (path === undefined) {
  process.stderr.write('usage: node bench/blas.js LIBRARY [--rounds 9] [--threads 1,2]\n');
  process.exit(2);
}
/** [M, N, K, transB]: layers of small models, and GPT-2's output head. */
const shapes = [
  [768, 384, 128, 0],
  [768, 128, 512, 1],
  [2048, 1536, 384, 0],
  [1024, 1024, 1024, 0],
  [256, 50_257, 768, 1],
];

const rows = [];
let name = '';
for (const threads of values.threads.split(',').map(Number)) {
  const device = await createWasmBackend({ threads, blas: { path }, activeThreads: () => threads });
  name = device.blas.name;
  for (const [M, N, K, transB] of shapes) {
    device.clear();
    const product = device.load([timedProduct(device, M, N, K, transB)]);
    const run = (on) => {
      device.useBlas(on);
      const start = performance.now();
      product.submit();
      return (2e-6 * M * N * K) / (performance.now() - start);
    };
    // V8 optimizes the kernels while they run.
    for (let i = 0; i < 5; i++) [false, true].forEach(run);
    const rates = [[], []];
    for (let round = 0; round < Number(values.rounds); round++)
      [false, true].forEach((on, i) => rates[i].push(run(on)));
    const [wasm, blas] = rates.map(median);
    rows.push([
      String(threads),
      `${M} × ${N} × ${K}${transB ? ', B transposed' : ''}`,
      wasm.toFixed(0),
      blas.toFixed(0),
      times(blas / wasm),
    ]);
  }
  await device.close();
}
process.stdout.write(`${JSON.stringify(machine())}\n\n`);
process.stdout.write(`${markdown(['threads', 'product', 'WebAssembly', name, 'ratio'], rows)}\n`);
process.exit();
