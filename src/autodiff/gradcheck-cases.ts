import type { GradientCase } from './gradcheck.ts';
import { channels, splitChannels, type Value } from './graph.ts';
import type { AttentionOperands } from './ops/attention.ts';
import { rotaryFrequencies, rotaryTable } from './ops/rotary.ts';
import type { OpName } from './tape.ts';

/** Queries, keys and values with equal numbers of heads, packed side by side. */
function packed(qkv: Value): AttentionOperands {
  const [q, k, v] = splitChannels(qkv, 3);
  return { q, k, v };
}

const rngInput = { name: 'rng', shape: [4], from: 0, below: 2 ** 31 };

/**
 * At least one row for every op, with deliberately odd shapes. The rows drive `gpt gradcheck`, the gradient tests and the
 * comparison of backends. An op without a row is a compile error.
 */
export const gradientCases: { readonly [K in OpName]: readonly GradientCase[] } = {
  embedding: [
    {
      name: 'embedding [2,5] of [7,3]',
      inputs: [
        { name: 'ids', shape: [2, 5], from: 0, below: 7 },
        { name: 'table', shape: [7, 3] },
      ],
      record: (t, { ids, table }) => t.embedding(ids, table),
    },
    {
      name: 'embedding [1] of [3,2]',
      inputs: [
        { name: 'ids', shape: [1], from: 0, below: 3 },
        { name: 'table', shape: [3, 2] },
      ],
      record: (t, { ids, table }) => t.embedding(ids, table),
    },
  ],
  linear: [
    {
      name: 'linear [3,5]·[5,4] + bias',
      inputs: [
        { name: 'x', shape: [3, 5] },
        { name: 'W', shape: [5, 4] },
        { name: 'bias', shape: [4] },
      ],
      record: (t, { x, W, bias }) => t.linear(x, W, bias),
    },
    {
      name: 'linear [2,3,5]·[4,5]ᵀ',
      inputs: [
        { name: 'x', shape: [2, 3, 5] },
        { name: 'W', shape: [4, 5] },
      ],
      record: (t, { x, W }) => t.linear(x, W, null, { transposed: true }),
    },
    {
      name: 'linear [2,3,5]·[4,5]ᵀ + bias',
      inputs: [
        { name: 'x', shape: [2, 3, 5] },
        { name: 'W', shape: [4, 5] },
        { name: 'bias', shape: [4] },
      ],
      record: (t, { x, W, bias }) => t.linear(x, W, bias, { transposed: true }),
    },
    {
      name: 'linear [3,5]·[4,5]ᵀ + [3,4]·[4,4]',
      inputs: [
        { name: 'x', shape: [3, 5] },
        { name: 'W', shape: [4, 5] },
        { name: 'z', shape: [3, 4] },
        { name: 'B', shape: [4, 4] },
      ],
      record: (t, { x, W, z, B }) => t.linear(x, W, null, { transposed: true, addTo: t.linear(z, B, null) }),
    },
  ],
  matmul: [false, true].flatMap(
    (transA) =>
      [false, true].map((transB) => ({
        name: `matmul ${transA ? '[7,5]ᵀ' : '[5,7]'}·${transB ? '[6,7]ᵀ' : '[7,6]'}`,
        inputs: [
          { name: 'a', shape: transA ? [7, 5] : [5, 7] },
          { name: 'b', shape: transB ? [6, 7] : [7, 6] },
        ],
        record: (t, { a, b }) => t.matmul(a, b, { transA, transB }),
      })) satisfies GradientCase[],
  ),
  scale: [
    {
      name: 'scale [3,5]',
      inputs: [{ name: 'x', shape: [3, 5] }],
      record: (t, { x }) => t.scale(x, 1.75),
    },
    {
      name: 'scale x + 2x',
      inputs: [{ name: 'x', shape: [3, 5] }],
      record: (t, { x }) => t.add(x, t.scale(x, 2)),
    },
  ],
  add: [
    {
      name: 'add [3,5]',
      inputs: [
        { name: 'a', shape: [3, 5] },
        { name: 'b', shape: [3, 5] },
      ],
      record: (t, { a, b }) => t.add(a, b),
    },
    {
      name: 'add x + (x + x)',
      inputs: [{ name: 'x', shape: [3, 5] }],
      record: (t, { x }) => t.add(x, t.add(x, x)),
    },
  ],
  gelu: [
    {
      name: 'gelu [3,7]',
      inputs: [{ name: 'x', shape: [3, 7], scale: 2 }],
      record: (t, { x }) => t.gelu(x),
    },
  ],
  geluErf: [
    {
      name: 'geluErf [3,7]',
      inputs: [{ name: 'x', shape: [3, 7], scale: 2 }],
      record: (t, { x }) => t.geluErf(x),
    },
  ],
  relu: [
    {
      name: 'relu [3,7]',
      inputs: [{ name: 'x', shape: [3, 7], scale: 2 }],
      record: (t, { x }) => t.relu(x),
    },
  ],
  swiglu: [
    {
      name: 'swiglu [3,7]',
      inputs: [
        { name: 'gate', shape: [3, 7], scale: 2 },
        { name: 'up', shape: [3, 7] },
      ],
      record: (t, { gate, up }) => t.swiglu(gate, up),
    },
    {
      name: 'swiglu of x and relu(x) [3,7]',
      inputs: [{ name: 'x', shape: [3, 7] }],
      record: (t, { x }) => t.swiglu(x, t.relu(x)),
    },
  ],
  softmax: [
    {
      name: 'softmax [4,7]',
      inputs: [{ name: 'x', shape: [4, 7], scale: 2 }],
      record: (t, { x }) => t.softmax(x),
    },
  ],
  layerNorm: [
    {
      name: 'layerNorm [4,7]',
      inputs: [
        { name: 'x', shape: [4, 7] },
        { name: 'weight', shape: [7] },
        { name: 'bias', shape: [7] },
      ],
      record: (t, { x, weight, bias }) => t.layerNorm(x, weight, bias, 1e-5),
    },
  ],
  rmsNorm: [
    {
      name: 'rmsNorm [4,7]',
      inputs: [
        { name: 'x', shape: [4, 7] },
        { name: 'weight', shape: [7] },
      ],
      record: (t, { x, weight }) => t.rmsNorm(x, weight, 1e-6),
    },
    {
      name: 'rmsNorm of each head of 5 [2,3,10]',
      inputs: [
        { name: 'x', shape: [2, 3, 10] },
        { name: 'weight', shape: [5] },
      ],
      record: (t, { x, weight }) => t.rmsNorm(x, weight, 1e-6),
    },
  ],
  rotary: [
    {
      name: 'rotary [2,5], 3 heads of 6',
      inputs: [
        { name: 'x', shape: [2, 5, 18] },
        { name: 'positions', shape: [2, 5], ids: [0, 1, 2, 3, 4, 7, 8, 9, 100, 1000] },
      ],
      record: (t, { x, positions }) =>
        t.rotary(x, rotaryTable(t, positions, { frequencies: rotaryFrequencies(6, 10_000), scale: 1.25 })),
    },
  ],
  attention: [
    {
      name: 'attention B=2 T=5 H=2 D=3',
      inputs: [{ name: 'qkv', shape: [2, 5, 18] }, rngInput],
      record: (t, { qkv, rng }) => t.attention(packed(qkv), 3, { rng, probability: 0 }, 0),
    },
    {
      name: 'attention with dropout 0.3',
      inputs: [{ name: 'qkv', shape: [2, 5, 18] }, rngInput],
      record: (t, { qkv, rng }) => t.attention(packed(qkv), 3, { rng, probability: 0.3 }, 1),
    },
    {
      name: 'attention, 4 query heads on 2 key/value heads of 5, documents',
      inputs: [
        { name: 'q', shape: [2, 7, 20] },
        { name: 'k', shape: [2, 7, 10] },
        { name: 'v', shape: [2, 7, 10] },
        { name: 'starts', shape: [2, 7], ids: [0, 0, 0, 3, 3, 5, 5, 0, 1, 1, 1, 1, 1, 6] },
        rngInput,
      ],
      record: (t, { q, k, v, starts, rng }) =>
        t.attention({ q, k, v, starts }, 5, { rng, probability: 0 }, 0),
    },
    {
      name: 'attention, 3 query heads on 1 key/value head of 4, keys and values packed',
      inputs: [{ name: 'q', shape: [2, 6, 12] }, { name: 'kv', shape: [2, 6, 8] }, rngInput],
      record: (t, { q, kv, rng }) => {
        const [k, v] = splitChannels(kv, 2);
        return t.attention({ q, k, v }, 4, { rng, probability: 0 }, 0);
      },
    },
    {
      name: 'attention, 4 query heads on 2 key/value heads of 2, packed, documents, dropout 0.3',
      inputs: [
        { name: 'qkv', shape: [1, 7, 16] },
        { name: 'starts', shape: [1, 7], ids: [0, 0, 2, 2, 2, 2, 6] },
        rngInput,
      ],
      record: (t, { qkv, starts, rng }) => {
        const [q, k, v] = [channels(qkv, 0, 8), channels(qkv, 8, 4), channels(qkv, 12, 4)];
        return t.attention({ q, k, v, starts }, 2, { rng, probability: 0.3 }, 1);
      },
    },
  ],
  dropout: [
    {
      name: 'dropout 0.4 [3,7]',
      inputs: [{ name: 'x', shape: [3, 7] }, rngInput],
      record: (t, { x, rng }) => t.dropout(x, { rng, probability: 0.4 }, 2),
    },
  ],
  crossEntropy: [
    {
      name: 'crossEntropy [5,7]',
      inputs: [
        { name: 'logits', shape: [5, 7], scale: 2 },
        { name: 'targets', shape: [5], from: -1, below: 7 },
      ],
      record: (t, { logits, targets }) => t.crossEntropy(logits, targets),
    },
    {
      name: 'crossEntropy, label smoothing 0.1 [5,7]',
      inputs: [
        { name: 'logits', shape: [5, 7], scale: 2 },
        { name: 'targets', shape: [5], from: -1, below: 7 },
      ],
      record: (t, { logits, targets }) => t.crossEntropy(logits, targets, 0.1),
    },
  ],
};
