/**
 * Computes every worked example of docs/, from a model trained by the command that docs/README.md gives:
 *
 *     node scripts/worked-examples.js checkpoints/docs
 *
 * and draws the figures in docs/figures/, unless --no-figures is given. The model's arithmetic is reimplemented here in plain
 * loops and compared with the engine's before anything is printed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { costOf } from '../dist/engine/cost.js';
import { createReferenceBackend } from '../dist/engine/reference/backend.js';
import { openModelFolder } from '../dist/checkpoint/open-model.js';
import { openSafetensors } from '../dist/checkpoint/safetensors.js';
import { Decoder } from '../dist/generate/decoder.js';
import { gpt2Defaults } from '../dist/model/architectures/gpt2.js';
import { presets } from '../dist/model/config.js';
import { countParameters, elements } from '../dist/model/parameters.js';
import { encode } from '../dist/tokenizer/tokenizer.js';
import { trainingPrograms } from '../dist/train/programs.js';
import { Trainer } from '../dist/train/trainer.js';
import { singularValues } from './singular-values.js';
import { ALPHA, BETA, course, GAMMA } from './small-examples/newton-schulz.js';

const drawsFigures = !process.argv.includes('--no-figures');
const [folder = 'checkpoints/docs', chosenHead = '0'] = process.argv
  .slice(2)
  .filter((argument) => !argument.startsWith('--'));
const model = openModelFolder(folder);
const { config, tokenizer } = model;
const { nLayer: L, nHead: H, nEmbd: C, blockSize: T, layerNormEpsilon: epsilon } = config;
const D = C / H;
const file = openSafetensors(`${folder}/model.safetensors`);
const weight = (name) => file.read(`transformer.${name}`);

const out = (text = '') => process.stdout.write(`${text}\n`);
const title = (text) => out(`\n${text}\n${'-'.repeat(text.length)}`);
const fixed = (x, digits = 3) => x.toFixed(digits).replace('-', '−');
const list = (xs, digits) => Array.from(xs, (x) => fixed(x, digits)).join('  ');
const shown = (id) => JSON.stringify(tokenizer.vocabulary[id]);
const ids = (text) => Array.from(encode(tokenizer, text));
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const norm = (a) => Math.sqrt(dot(a, a));
const cosine = (a, b) => dot(a, b) / (norm(a) * norm(b));
const row = (matrix, n, width = C) => Array.from(matrix.subarray(n * width, (n + 1) * width));

const softmax = (xs) => {
  const max = Math.max(...xs);
  const weights = xs.map((x) => Math.exp(x - max));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / sum);
};
const layerNorm = (x, name) => {
  const mean = x.reduce((a, b) => a + b) / C;
  const rstd = 1 / Math.sqrt(x.reduce((sum, each) => sum + (each - mean) ** 2, 0) / C + epsilon);
  const [w, b] = [weight(`${name}.weight`), weight(`${name}.bias`)];
  return x.map((each, c) => (each - mean) * rstd * w[c] + b[c]);
};
const linear = (x, name, N) => {
  const [W, b] = [weight(`${name}.weight`), weight(`${name}.bias`)];
  return Array.from({ length: N }, (_, n) => x.reduce((sum, each, k) => sum + each * W[k * N + n], b[n]));
};
const gelu = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const plus = (a, b) => a.map((x, i) => x + b[i]);

const wte = weight('wte.weight');
const wpe = weight('wpe.weight');

/** The whole forward pass for one text: hidden states, attention and logits at every position. */
function forward(tokens) {
  const embedded = tokens.map((id, t) => plus(row(wte, id), row(wpe, t)));
  const stream = [embedded];
  const maps = [];
  let x = embedded;
  for (let l = 0; l < L; l++) {
    const qkv = x.map((each) => linear(layerNorm(each, `h.${l}.ln_1`), `h.${l}.attn.c_attn`, 3 * C));
    const heads = Array.from({ length: H }, (_, h) => {
      const part = (each, which) => each.slice(which * C + h * D, which * C + (h + 1) * D);
      return qkv.map((each, i) => {
        const scores = qkv.slice(0, i + 1).map((other) => dot(part(each, 0), part(other, 1)) / Math.sqrt(D));
        const probabilities = softmax(scores);
        const mixed = Array.from({ length: D }, (_d, d) =>
          probabilities.reduce((sum, p, j) => sum + p * part(qkv[j], 2)[d], 0),
        );
        return { scores, probabilities, mixed };
      });
    });
    maps.push(heads);
    x = x.map((each, t) =>
      plus(
        each,
        linear(
          heads.flatMap((head) => head[t].mixed),
          `h.${l}.attn.c_proj`,
          C,
        ),
      ),
    );
    stream.push(x);
    x = x.map((each) =>
      plus(
        each,
        linear(
          linear(layerNorm(each, `h.${l}.ln_2`), `h.${l}.mlp.c_fc`, 4 * C).map(gelu),
          `h.${l}.mlp.c_proj`,
          C,
        ),
      ),
    );
    stream.push(x);
  }
  const logitsOf = (hidden) => {
    const final = layerNorm(hidden, 'ln_f');
    return Array.from({ length: config.vocabSize }, (_, v) => dot(final, row(wte, v)));
  };
  return { stream, maps, logitsOf, logits: x.map(logitsOf) };
}

const likeliest = (probabilities, n) =>
  probabilities
    .map((p, id) => ({ p, id }))
    .sort((a, b) => b.p - a.p)
    .slice(0, n);
const percent = (p) => `${(100 * p).toFixed(1)}%`;

const TEXT = 'The white wha';
const tokens = ids(TEXT);
const pass = forward(tokens);
const last = tokens.length - 1;

title('Check');
const decoder = Decoder.create(createReferenceBackend('float32'), config, (tensors) => model.load(tensors));
const expected = await decoder.read(tokens);
const difference = Math.max(...pass.logits[last].map((x, v) => Math.abs(x - expected[v])));
if (!(difference < 1e-4)) throw new Error(`these examples are ${difference} off the engine's logits`);
out(`largest difference from the engine's logits: ${difference.toExponential(1)}`);
out(`parameters: ${countParameters(config)}; two forward passes for each: ${2 * countParameters(config)}`);

title('Tokens');
out(`${JSON.stringify('Call me')} → ${ids('Call me').join(' ')}`);
out(`vocabulary ${tokenizer.vocabSize}; id 0 ${shown(0)}, last ${shown(tokenizer.vocabSize - 1)}`);

title('Embeddings');
for (const character of ['a', 'e', 't'])
  out(
    `wte[${ids(character)[0]}] of ${JSON.stringify(character)}: ${list(row(wte, ids(character)[0]).slice(0, 5))} …  length ${fixed(norm(row(wte, ids(character)[0])))}`,
  );
for (const character of ['a', 'e', 't', 'T', '.', '1', '"']) {
  const id = ids(character)[0];
  const near = Array.from({ length: config.vocabSize }, (_, other) => ({
    other,
    c: cosine(row(wte, id), row(wte, other)),
  }))
    .filter(({ other }) => other !== id)
    .sort((a, b) => b.c - a.c)
    .slice(0, 5);
  out(
    `near ${JSON.stringify(character)}: ${near.map(({ other, c }) => `${shown(other)} ${fixed(c, 2)}`).join('  ')}`,
  );
}

title('Positions');
out(`wpe[0]: ${list(row(wpe, 0).slice(0, 5))} …`);
for (const distance of [1, 2, 4, 8, 16, 32])
  out(
    `mean cosine of positions ${distance} apart: ${fixed(Array.from({ length: T - distance }, (_, t) => cosine(row(wpe, t), row(wpe, t + distance))).reduce((a, b) => a + b) / (T - distance), 2)}`,
  );
const mean = (matrix, rows) =>
  Array.from({ length: rows }, (_, n) => norm(row(matrix, n))).reduce((a, b) => a + b) / rows;
out(`mean length of a row: wte ${fixed(mean(wte, config.vocabSize))}, wpe ${fixed(mean(wpe, T))}`);

title('Attention');
const letters = Array.from(TEXT);
for (let l = 0; l < L; l++)
  for (let h = 0; h < H; h++) {
    const { probabilities } = pass.maps[l][h][last];
    out(
      `layer ${l} head ${h}, from the last ${JSON.stringify(letters[last])}: ${likeliest(probabilities, 4)
        .map(({ p, id }) => `${JSON.stringify(letters[id])}@${id} ${percent(p)}`)
        .join('  ')}`,
    );
  }
const [l0, h0] = [0, Number(chosenHead)];
out(`scores and probabilities of layer ${l0} head ${h0} at the last position`);
letters.forEach((letter, j) =>
  out(
    `  ${j} ${JSON.stringify(letter)}  ${fixed(pass.maps[l0][h0][last].scores[j], 2)}  ${percent(pass.maps[l0][h0][last].probabilities[j])}`,
  ),
);

title('The block');
pass.stream.forEach((x, s) => {
  const guess = likeliest(softmax(pass.logitsOf(x[last])), 3);
  const name = s === 0 ? 'embedding' : `h.${Math.floor((s - 1) / 2)} ${s % 2 === 1 ? 'attention' : 'mlp'}`;
  out(
    `${name.padEnd(14)} length ${fixed(norm(x[last]), 2).padStart(6)}  ${guess.map(({ p, id }) => `${shown(id)} ${percent(p)}`).join('  ')}`,
  );
});
for (const x of [-3, -1, -0.5, 0, 0.5, 1, 3]) out(`gelu(${fixed(x, 1)}) = ${fixed(gelu(x), 4)}`);

title('RMSNorm');
pass.stream.forEach((stream, s) => {
  const x = stream[last];
  const average = x.reduce((a, b) => a + b) / C;
  const rms = norm(x) / Math.sqrt(C);
  out(
    `${s}: mean ${fixed(average)}, root mean square ${fixed(rms)}; cosine of LayerNorm and RMSNorm ${fixed(
      cosine(
        x,
        x.map((each) => each - average),
      ),
      4,
    )}`,
  );
});

title('Softmax and sampling');
const logits = pass.logits[last];
for (const temperature of [0.5, 1, 2]) {
  const p = softmax(logits.map((x) => x / temperature));
  out(
    `temperature ${temperature}: ${likeliest(p, 6)
      .map(({ p: q, id }) => `${shown(id)} ${percent(q)}`)
      .join('  ')}`,
  );
}
const p = softmax(logits);
out(
  `logits: ${likeliest(logits, 6)
    .map(({ p: x, id }) => `${shown(id)} ${fixed(x, 2)}`)
    .join('  ')}`,
);
out(
  `entropy ${fixed(-p.reduce((sum, q) => sum + (q > 0 ? q * Math.log(q) : 0), 0))} nats; loss if "l" comes: ${fixed(-Math.log(p[ids('l')[0]]), 4)}`,
);
let reached = 0;
const sorted = likeliest(p, config.vocabSize);
for (const top of [0.9, 0.99])
  out(
    `top-p ${top} keeps ${sorted.findIndex(({ p: q }) => (reached += q) >= top) + 1} tokens`,
    (reached = 0),
  );

title('Figures');
const figure = (name, svg) => {
  if (!drawsFigures) return;
  writeFileSync(new URL(`../docs/figures/${name}.svg`, import.meta.url), svg);
  out(`docs/figures/${name}.svg, ${svg.length} bytes`);
};
const frame = (width, height, label, body) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${label}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
${body}
</svg>
`;
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replace(' ', '␣');

// Attention: one map per head; row i attends to column j.
const cell = 13;
const panel = cell * letters.length;
const panels = pass.maps.flatMap((heads, l) =>
  heads.map((head, h) => {
    const [x0, y0] = [40 + h * (panel + 34), 40 + l * (panel + 46)];
    const cells = head.flatMap(({ probabilities }, i) =>
      probabilities.map((q, j) =>
        q < 0.01
          ? ''
          : `<path d="M${x0 + j * cell} ${y0 + i * cell}h${cell}v${cell}h-${cell}z" opacity="${Math.min(q, 0.99).toFixed(2).slice(1)}"/>`,
      ),
    );
    const names = letters.flatMap((letter, i) => [
      `<text x="${x0 - 5}" y="${y0 + i * cell + 10}" text-anchor="end" font-size="10">${escaped(letter)}</text>`,
      `<text x="${x0 + i * cell + cell / 2}" y="${y0 - 4}" text-anchor="middle" font-size="10">${escaped(letter)}</text>`,
    ]);
    return `<text x="${x0}" y="${y0 - 18}">layer ${l}, head ${h}</text><g fill="#1f5fa8">${cells.join('')}</g>${names.join('')}<rect x="${x0}" y="${y0}" width="${panel}" height="${panel}" fill="none" stroke="#888"/>`;
  }),
);
figure(
  'attention',
  frame(
    40 + H * (panel + 34),
    40 + L * (panel + 46),
    `Attention probabilities of ${L} layers and ${H} heads over ${TEXT}`,
    panels.join('\n'),
  ),
);

// The loss of a run, and its learning rate.
const metrics = readFileSync(`${folder}/metrics.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const steps = metrics.filter((m) => m.loss !== undefined);
const evaluations = metrics.filter((m) => m.val_loss_estimate !== undefined);
const [width, height] = [600, 240];
const maxStep = steps.at(-1).step;
const X = (step) => (50 + (step / maxStep) * (width - 70)).toFixed(1);
const Y = (loss) => (20 + ((4.6 - loss) / (4.6 - 1.8)) * (height - 60)).toFixed(1);
const line = (points, color, w) =>
  `<polyline fill="none" stroke="${color}" stroke-width="${w}" points="${points.join(' ')}"/>`;
figure(
  'loss',
  frame(
    width,
    height,
    'Loss of a training run by step',
    [
      ...[2, 2.5, 3, 3.5, 4, 4.5].map(
        (y) =>
          `<line x1="50" x2="${width - 20}" y1="${Y(y)}" y2="${Y(y)}" stroke="#ddd"/><text x="42" y="${Number(Y(y)) + 4}" text-anchor="end">${y}</text>`,
      ),
      ...[0, 100, 200, 300, 400, 500].map(
        (s) => `<text x="${X(s)}" y="${height - 22}" text-anchor="middle">${s}</text>`,
      ),
      line(
        steps.map((m) => `${X(m.step)},${Y(m.loss)}`),
        '#9bbbe0',
        1,
      ),
      line(
        evaluations.map((m) => `${X(m.step)},${Y(m.val_loss_estimate)}`),
        '#b3261e',
        2,
      ),
      `<text x="${width - 24}" y="34" text-anchor="end" fill="#5b86b8">each batch</text><text x="${width - 24}" y="52" text-anchor="end" fill="#b3261e">validation</text><text x="${width / 2}" y="${height - 6}" text-anchor="middle">step</text>`,
    ].join('\n'),
  ),
);
title('Training');
for (const m of evaluations)
  out(`step ${m.step}  train ${fixed(m.train_loss_estimate, 4)}  val ${fixed(m.val_loss_estimate, 4)}`);
for (const step of [1, 50, 100, 250, 500])
  out(
    `step ${step}: loss ${fixed(steps[step - 1].loss, 4)}, learning rate ${steps[step - 1].lr.toExponential(3)}, gradient norm ${fixed(steps[step - 1].grad_norm)}`,
  );

title('Gradient descent');
const options = {
  optimizer: 'sgd',
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0,
  momentum: 0,
  gradClip: 0,
};
const programs = trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer: 'sgd' });
const trainer = new Trainer(createReferenceBackend('float64'), programs, options, 1);
const parameters = trainer.parameters();
model.load(parameters);
const text = readFileSync('data/moby-dick.txt', 'utf8');
const window = ids(text.slice(700_000, 700_000 + T + 1));
const batch = { inputs: Int32Array.from(window.slice(0, T)), targets: Int32Array.from(window.slice(1)) };
const loss = (await trainer.accumulate(0, 0, { microBatches: 1, counted: T }, batch)) / T;
const squared = (await trainer.gradNorm()) ** 2;
out(`loss of a window of ${T} characters: ${fixed(loss, 4)}; gradient norm ${fixed(Math.sqrt(squared), 3)}`);
const numbersOf = (tensors) =>
  Promise.all(tensors.map(({ shape, read }) => read(new Float64Array(elements(shape)))));
const start = await numbersOf(parameters);
const slope = await numbersOf(trainer.gradients());
/** The loss after a step of this size along the negative gradient. */
function after(stepSize) {
  parameters.forEach((tensor, i) => tensor.write(start[i].map((x, j) => x - stepSize * slope[i][j])));
  return trainer.evaluate([batch]);
}
for (const stepSize of [0.001, 0.01, 0.1, 0.3, 1, 3])
  out(
    `step ${stepSize}: loss ${fixed(await after(stepSize), 4)}, a straight line says ${fixed(loss - stepSize * squared, 4)}`,
  );

title('Reverse mode');
const at = parameters.findIndex(({ name }) => name === 'h.0.mlp.c_fc.weight');
const h = 1e-4;
for (const j of [0, 1, 2]) {
  await after(0);
  parameters[at].write(Float64Array.of(start[at][j] + h), j);
  const above = await trainer.evaluate([batch]);
  parameters[at].write(Float64Array.of(start[at][j] - h), j);
  const below = await trainer.evaluate([batch]);
  out(
    `h.0.mlp.c_fc.weight[0,${j}]: gradient ${slope[at][j].toExponential(6)}, (L(w+h) − L(w−h))/2h ${((above - below) / (2 * h)).toExponential(6)}`,
  );
}

/** Newton–Schulz on x [M,N] with M ≤ N, in plain loops. */
function orthogonalized(x, M, N) {
  const length = norm(Array.from(x));
  let y = Array.from(x, (each) => each / length);
  /** P·matrix for P [M,M]. */
  const applied = (P, matrix, columns) => {
    const product = new Float64Array(M * columns);
    for (let i = 0; i < M; i++)
      for (let k = 0; k < M; k++)
        for (let j = 0; j < columns; j++) product[i * columns + j] += P[i * M + k] * matrix[k * columns + j];
    return Array.from(product);
  };
  for (let iteration = 0; iteration < 5; iteration++) {
    const rows = Array.from({ length: M }, (_, i) => y.slice(i * N, (i + 1) * N));
    const A = rows.flatMap((a) => rows.map((b) => dot(a, b)));
    const square = applied(A, A, M);
    const isDiagonal = (i) => i % (M + 1) === 0;
    const P = A.map((a, i) => BETA * a + GAMMA * square[i] + (isDiagonal(i) ? ALPHA : 0));
    y = applied(P, y, N);
  }
  return y;
}
const columnLengths = (x, columns) =>
  Array.from({ length: columns }, (_, j) => norm(x.filter((_each, i) => i % columns === j)));

title('Muon');
// The gradient of twelve windows, spread over the text.
await after(0);
const windows = 12;
const total = slope.map((each) => new Float64Array(each.length));
for (let w = 0; w < windows; w++) {
  const first = Math.floor((w * text.length) / windows);
  const ofWindow = ids(text.slice(first, first + T + 1));
  await trainer.accumulate(
    0,
    0,
    { microBatches: 1, counted: T },
    { inputs: Int32Array.from(ofWindow.slice(0, T)), targets: Int32Array.from(ofWindow.slice(1)) },
  );
  for (const [i, gradient] of (await numbersOf(trainer.gradients())).entries())
    gradient.forEach((x, j) => (total[i][j] += x / windows));
}
for (const name of [
  'h.0.attn.c_attn',
  'h.0.attn.c_proj',
  'h.0.mlp.c_fc',
  'h.1.attn.c_attn',
  'h.1.attn.c_proj',
  'h.1.mlp.c_fc',
]) {
  const index = parameters.findIndex((each) => each.name === `${name}.weight`);
  const length = norm(total[index]);
  const before = singularValues(
    total[index].map((x) => x / length),
    parameters[index].shape,
  );
  const updated = before.map((s) => course(s).at(-1));
  const share = (xs) => percent(dot(xs.slice(0, 10), xs.slice(0, 10)) / dot(xs, xs));
  const three = (xs) => [0, 9, 63].map((i) => fixed(xs[i], 4)).join(', ');
  out(
    `${name}: singular values 1, 10 and 64 of the gradient ${three(before)}, after five iterations ${three(updated)}; share of the first 10 in the squares ${share(before)}, then ${share(updated)}`,
  );
  if (!name.endsWith('c_fc')) continue;
  const [inputs, outputs] = parameters[index].shape;
  const lengths = columnLengths(orthogonalized(total[index], inputs, outputs), outputs)
    .map((each) => each * Math.sqrt(outputs / inputs))
    .toSorted((a, b) => a - b);
  out(
    `${name}: its ${outputs} neurons move by ${fixed(lengths[0], 2)} to ${fixed(lengths.at(-1), 2)} times the learning rate, half of them by at most ${fixed(lengths[outputs / 2 - 1], 2)}`,
  );
}

title('Instructions');
for (const name of ['nano', 'gpt2', 'gpt2-xl']) {
  const { nLayer, nHead, nEmbd, blockSize } = presets[name];
  const shape = { nLayer, nHead, nEmbd, blockSize };
  const big = { ...gpt2Defaults, ...shape, dropout: 0, vocabSize: name === 'nano' ? 90 : 50257 };
  const { instructions } = trainingPrograms({
    config: big,
    batchSize: 1,
    microBatches: 1,
    optimizer: 'adamw',
  }).forwardBackward;
  const isBackward = ({ label }) => label.endsWith('backward');
  const flops = (some) => some.reduce((sum, each) => sum + costOf(each).flops, 0);
  const [forwards, backwards] = [instructions.filter((i) => !isBackward(i)), instructions.filter(isBackward)];
  const kernels = new Set(instructions.map(({ kernel }) => kernel));
  out(
    `${name}: ${countParameters(big)} parameters; ${forwards.length} + ${backwards.length} instructions of ${kernels.size} kernels; per token ${(flops(forwards) / shape.blockSize / 1e6).toFixed(2)} + ${(flops(backwards) / shape.blockSize / 1e6).toFixed(2)} MFLOP, 6N = ${((6 * countParameters(big)) / 1e6).toFixed(2)}`,
  );
}
file.close();
