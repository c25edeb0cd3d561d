/**
 * Compares AVX-512 machine code with the 256-bit WebAssembly kernels, in GEMM and in training. The two alternate.
 *
 *     npm run build && node_modules/.bin/node bench/avx512.js [nano|baby|gpt2 …] [--rounds 5]
 */
import { timedProduct } from '../dist/engine/timed-product.js';
import { createWasmBackend } from '../dist/engine/wasm.js';
import { alternate, gpt, markdown, medianOf, readArguments, times } from './common.js';
import { machine } from './machine.js';
import { titles } from './training.js';

const { rounds, models } = readArguments();
const steps = { nano: 60, baby: 2, gpt2: 1 };
/** [M, N, K, transA, transB]: square GEMMs, then those of a layer in a step of nano and of 6/6/384: forward, dX, dW. */
const products = [
  [256, 256, 256, 0, 0],
  [512, 512, 512, 0, 0],
  [1024, 1024, 1024, 0, 0],
  [768, 512, 128, 0, 0],
  [768, 128, 512, 0, 1],
  [128, 512, 768, 1, 0],
  [2048, 1536, 384, 0, 0],
  [2048, 384, 1536, 0, 1],
  [384, 1536, 2048, 1, 0],
];
/** Time per variant, shape and round, in milliseconds. */
const TURN = 30;

const load = (device, [M, N, K, transA, transB]) =>
  device.load([timedProduct(device, M, N, K, transB, transA)]);

/** The shortest time of a run within a turn, in seconds. */
function shortest(loaded) {
  let best = Infinity;
  for (const until = performance.now() + TURN; performance.now() < until;) {
    const start = performance.now();
    loaded.submit();
    best = Math.min(best, performance.now() - start);
  }
  return best / 1000;
}

async function measureProducts() {
  const device = await createWasmBackend({ variant: 'avx512' });
  const rows = [];
  for (const product of products) {
    const [M, N, K, transA, transB] = product;
    const loaded = load(device, product);
    const seconds = { native: [], wasm: [] };
    for (let round = -1; round < rounds; round++)
      for (const kind of ['wasm', 'native']) {
        device.useNative(kind === 'native');
        const time = shortest(loaded);
        if (round >= 0) seconds[kind].push({ time }); // the first round is a warm-up: V8 compiles
      }
    const [native, wasm] = [seconds.native, seconds.wasm].map((each) => medianOf(each, 'time'));
    const rate = (time) => `${((2 * M * N * K) / time / 1e9).toFixed(0)} GFLOP/s`;
    const name = `${transA ? 'Aᵀ' : 'A'}·${transB ? 'Bᵀ' : 'B'} ${M}×${N}×${K}`;
    rows.push([name, rate(native), rate(wasm), times(wasm / native)]);
  }
  await device.close();
  return rows;
}

async function measureTraining(model) {
  const variants = ['avx512', 'revectorize'];
  const contenders = [];
  for (const variant of variants) contenders.push(await gpt('train', { model, variant }));
  const answers = await alternate(contenders, [steps[model], steps[model]], rounds);
  for (const contender of contenders) await contender.close();
  const [native, wasm] = answers.map((each) => medianOf(each, 'seconds') / steps[model]);
  const least = answers.map((each) => Math.min(...each.map(({ seconds }) => seconds)));
  const ms = (seconds) => `${(1000 * seconds).toFixed(1)} ms a step`;
  return [
    `training ${titles[model]}`,
    ms(native),
    ms(wasm),
    `${times(wasm / native)} (shortest: ${times(least[1] / least[0])})`,
  ];
}

const rows = await measureProducts();
for (const model of models.length > 0 ? models : ['nano', 'baby']) rows.push(await measureTraining(model));
const { processor, cores, node } = machine();
process.stdout.write(`${processor}, ${cores} cores, Node ${node}; medians of ${rounds} rounds\n\n`);
process.stdout.write(`${markdown(['work', 'AVX-512', 'WebAssembly', 'ratio'], rows)}\n`);
