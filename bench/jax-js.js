/**
 * GEMM speed here and in jax-js, both in multi-threaded WebAssembly; the two alternate.
 *
 *     npm install --prefix /tmp/jax-js @jax-js/jax
 *     npm run build && node_modules/.bin/node bench/jax-js.js /tmp/jax-js/node_modules/@jax-js/jax [--rounds 9]
 *
 * jax-js starts threads as in a browser, by `new Worker` with the URL of a blob. Node lacks both, so this file provides them.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { timedProduct } from '../dist/engine/timed-product.js';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { markdown, median, times } from './common.js';
import { machine } from './machine.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '9' } },
});
const [folder] = positionals;
if (folder === undefined) {
  process.stderr.write('usage: node bench/jax-js.js FOLDER_OF_THE_PACKAGE [--rounds 9]\n');
  process.exit(2);
}

/** Globals of a browser's worker. */
const SCOPE = `
const { parentPort } = require('node:worker_threads');
globalThis.self = globalThis;
globalThis.postMessage = (message) => parentPort.postMessage(message);
parentPort.on('message', (data) => self.onmessage({ data }));
`;
const blobs = new Map();
const urlOf = URL.createObjectURL.bind(URL);
URL.createObjectURL = (blob) => {
  const url = urlOf(blob);
  blobs.set(url, blob.text());
  return url;
};
let workers = 0;
globalThis.Worker = class {
  #thread;
  onmessage;
  constructor(url) {
    workers++;
    this.#thread = blobs.get(url).then((source) => {
      const thread = new Worker(SCOPE + source, { eval: true });
      thread.unref();
      thread.on('message', (data) => this.onmessage?.({ data }));
      return thread;
    });
  }
  postMessage(message) {
    void this.#thread.then((thread) => thread.postMessage(message));
  }
};
navigator.hardwareConcurrency ??= availableParallelism();

const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
const { init, defaultDevice, numpy } = await import(
  pathToFileURL(join(resolve(folder), 'dist/index.js')).href
);
await init();
defaultDevice('wasm');

const theirs = (M, N, K) => {
  const matrix = (rows, columns) =>
    numpy.array(new Float32Array(rows * columns).fill(0.5)).reshape([rows, columns]);
  const [a, b] = [matrix(M, K), matrix(K, N)];
  return async () => {
    const product = numpy.matmul(a.ref, b.ref);
    await product.blockUntilReady();
    product.dispose();
  };
};
const device = await createWasmBackend();
const ours = (M, N, K) => {
  device.clear();
  const product = device.load([timedProduct(device, M, N, K, 0)]);
  return async () => product.submit();
};

const rows = [];
for (const [M, N, K] of [
  [256, 256, 256],
  [512, 512, 512],
  [1024, 1024, 1024],
  [768, 384, 128],
  [768, 128, 512],
  [128, 512, 768],
]) {
  const contenders = [ours(M, N, K), theirs(M, N, K)];
  const rates = contenders.map(() => []);
  for (let round = -5; round < Number(values.rounds); round++)
    for (const [i, run] of contenders.entries()) {
      const start = performance.now();
      await run();
      if (round >= 0) rates[i].push((2e-6 * M * N * K) / (performance.now() - start));
    }
  const [here, there] = rates.map(median);
  rows.push([`${M} × ${N} × ${K}`, here.toFixed(1), there.toFixed(1), times(here / there)]);
}
process.stdout.write(`${JSON.stringify({ ...machine(), 'jax-js': version, 'its threads': workers })}\n\n`);
process.stdout.write(`${markdown(['product', 'gpt, GFLOP/s', `jax-js ${version}`, 'ratio'], rows)}\n`);
process.exit();
