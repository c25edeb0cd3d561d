/** Computes the numbers of docs/understanding/grouped-queries.md. */
import { architectureOf } from '../../dist/model/architectures/registry.js';
import { countParameters } from '../../dist/model/parameters.js';
import { out, title, fixed, list, dot, agree, runOp, small } from './common.js';

title('Grouped queries');
{
  const [T, H, G, D] = [2, 2, 1, 2];
  const q = [0, 0, 0, 0, 1, 0, 0, 2]; // [T,H·D]; the first row sees only itself
  const k = [1, 0, 0, 1];
  const v = [1, 2, 3, 4];
  const inputs = {
    q: [[1, T, H * D], q],
    k: [[1, T, G * D], k],
    v: [[1, T, G * D], v],
    rng: [[4], [0, 0, 0, 0]],
  };
  const attend = (dOut) =>
    runOp((t, x) => t.attention(x, D, { rng: x.rng, probability: 0 }, 0), inputs, {
      dOut,
      integers: ['rng'],
    });
  const dOuts = {
    'head 0': [0, 0, 0, 0, 1, 0, 0, 0],
    'head 1': [0, 0, 0, 0, 0, 0, 1, 0],
    both: [0, 0, 0, 0, 1, 0, 1, 0],
  };
  const parts = {};
  for (const [name, dOut] of Object.entries(dOuts)) {
    const { y, gradients } = await attend(dOut);
    parts[name] = gradients;
    const exps = [0, 1].map((h) =>
      [0, 1].map((j) => Math.exp(dot(q.slice(4 + 2 * h, 6 + 2 * h), k.slice(2 * j, 2 * j + 2)) / Math.SQRT2)),
    );
    const probabilities = exps.map(([a, b]) => [a / (a + b), b / (a + b)]);
    const expected = probabilities.flatMap(([a, b]) => [a * v[0] + b * v[2], a * v[1] + b * v[3]]);
    agree('grouped queries', expected, y.slice(4));
    if (name === 'head 0')
      probabilities.forEach((p, h) =>
        out(`head ${h}: probabilities ${list(p)}, out ${list(y.slice(4 + 2 * h, 6 + 2 * h))}`),
      );
    out(`gradient from ${name}: dK ${list(gradients.k)}, dV ${list(gradients.v)}`);
  }
  for (const name of ['k', 'v'])
    agree(
      'shared gradient',
      parts['head 0'][name].map((x, i) => x + parts['head 1'][name][i]),
      parts.both[name],
    );

  for (const nKvHead of [4, 2, 1]) {
    const config = { ...small, nKvHead };
    const { heads, headSize } = architectureOf(config).cache(config);
    const perToken = 2 * config.nLayer * heads * headSize;
    out(
      `${nKvHead} key/value heads: ${perToken} numbers per token, ${4 * perToken} bytes, ${(4 * perToken * config.blockSize) / 1024} KiB at ${config.blockSize} tokens; ${countParameters(config)} parameters`,
    );
  }
  const gib = (layers, heads, size, context) => (2 * layers * heads * size * context * 2) / 2 ** 30;
  out(
    `Llama 3 8B: 8192 tokens in 2-byte numbers take ${fixed(gib(32, 32, 128, 8192), 2)} GiB with 32 heads, ${fixed(gib(32, 8, 128, 8192), 2)} GiB with 8`,
  );
  out(
    `Llama 2 70B: 4096 tokens in 2-byte numbers take ${fixed(gib(80, 64, 128, 4096), 2)} GiB with 64 heads, ${fixed(gib(80, 8, 128, 4096), 2)} GiB with 8`,
  );
}
