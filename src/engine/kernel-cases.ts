import type { Buffer } from './instruction.ts';
import { Q8_BLOCK } from './q8.ts';
import { HYPER, HYPER_SLOTS, NORM_BLOCK, type Argument, type KernelName } from './signatures.ts';

/** A buffer of a kernel's test case: its length and contents, rounded if it is stored in a narrow type. */
export type Fill = Pick<Buffer, 'storage' | 'averagedOver' | 'isOfLogits'> &
  (
    | { readonly length: number; readonly kind: 'normal'; readonly scale?: number }
    /** Positive numbers, for squares and standard deviations. */
    | { readonly length: number; readonly kind: 'positive' }
    /** Integers in [from, below). */
    | { readonly length: number; readonly kind: 'ids'; readonly from: number; readonly below: number }
    | { readonly length: number; readonly kind: 'exact'; readonly values: readonly number[] }
  );

export type KernelCase = Readonly<Record<string, Argument<Fill>>>;

/** Sizes at which kernels tend to fail: 1, odd ones, around 4 lanes, around the tiles (4, 6, 8 and 16), beyond a block; 32 for blocks of q8. */
export const AWKWARD = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 16, 17, 24, 31, 32, 33, 48, 49, 65];

const normal = (length: number, scale = 1): Fill => ({ length, kind: 'normal', scale });
/** Weights of one of the types, chosen by a number; of q8 only if a row consists of whole blocks. */
function weights(length: number, row: number, choice: number): Fill {
  const types = [undefined, 'bf16', 'f16', 'q8'] as const;
  const storage = types[choice % (row % Q8_BLOCK === 0 ? types.length : types.length - 1)];
  return { ...normal(length), ...(storage && { storage }) };
}
const positive = (length: number): Fill => ({ length, kind: 'positive' });
const ids = (length: number, from: number, below: number): Fill => ({ length, kind: 'ids', from, below });
const exact = (values: readonly number[]): Fill => ({ length: values.length, kind: 'exact', values });
const rng = ids(4, 0, 2 ** 31);

const drop = (p: number, site: number) => ({
  rng,
  site,
  threshold: Math.round(p * 2 ** 32) | 0,
  scale: 1 / (1 - p),
});

/** @param stopped whether no update takes effect */
const hyper = (clip: number, stopped = false): Fill => {
  const values = Array.from({ length: HYPER_SLOTS }, () => 0);
  values[HYPER.learningRate] = 0.01;
  values[HYPER.beta1] = 0.9;
  values[HYPER.beta2] = 0.99;
  values[HYPER.epsilon] = 1e-8;
  values[HYPER.weightDecay] = 0.1;
  values[HYPER.correction1] = 1 - 0.9 ** 3;
  values[HYPER.correction2] = 1 - 0.99 ** 3;
  values[HYPER.clip] = clip;
  values[HYPER.momentum] = 0.9;
  values[HYPER.oneMinusBeta1] = 1 - 0.9;
  values[HYPER.oneMinusBeta2] = 1 - 0.99;
  values[HYPER.oneMinusMomentum] = 1 - 0.9;
  values[HYPER.matrixLearningRate] = 0.02;
  values[HYPER.averageRate] = 0.05;
  values[HYPER.lossLimit] = 5;
  values[HYPER.stopped] = Number(stopped);
  return exact(values.map(Math.fround));
};

/**
 * Attention shapes with T positions and heads of D channels: one to three key/value heads, each shared by one to three query
 * heads, packed as qkv or, with `gaps`, with three row strides.
 */
const heads = (T: number, D: number, b: number, gaps: boolean) => {
  const [B, G] = [1 + (b % 2), 1 + (b % 3)];
  const H = G * (1 + (T % 3));
  const packed = (H + 2 * G) * D;
  const lengths = gaps ? [H * D, G * D + 1, G * D + 5] : [packed, packed, packed];
  return { B, T, H, G, D, qStride: lengths[0], kStride: lengths[1], vStride: lengths[2] };
};
type Heads = ReturnType<typeof heads>;

/** A view of `count` heads, or its gradient. */
const view = ({ B, T, D }: Heads, count: number, stride: number, scale = 1): Fill =>
  normal((B * T - 1) * stride + count * D, scale);

const qkv = (shape: Heads, scale = 1) => ({
  q: view(shape, shape.H, shape.qStride, scale),
  k: view(shape, shape.G, shape.kStride, scale),
  v: view(shape, shape.G, shape.vStride, scale),
});

const DOCUMENT_LENGTHS = [5, 1, 20, 2, 13, 70, 40, 3];

/** Document start of each position in B rows with different boundaries, some of them inside a block. */
export function documentStarts(B: number, T: number): Fill {
  const starts: number[] = [];
  for (let b = 0; b < B; b++)
    for (let t = 0, start = 0, i = b; t < T; t++) {
      if (t - start === DOCUMENT_LENGTHS[i % DOCUMENT_LENGTHS.length]) {
        start = t;
        i++;
      }
      starts.push(start);
    }
  return exact(starts);
}

/** In some cases of every kernel that reads `hyper`. */
const isStopped = (a: number): boolean => a % 4 === 3;

/** An optimizer that keeps one moment. */
const oneMoment = (a: number, b: number, c: number, flag: boolean): KernelCase => ({
  x: normal(a * b),
  dX: normal(a * b),
  m: normal(a * b),
  hyper: hyper(flag ? 1 : 0, isStopped(a)),
  norm: exact([3]),
  n: a * b,
  decayed: Math.min(a * b, a * c),
});

/** A GEMM of shape [M,N,K]. The type of its weights follows from the shape, unless they are to be float32. */
export const gemmCase = (
  [M, N, K]: readonly [number, number, number],
  { hasBias = false, transA = 0, transB = 0, isFloat32 = false } = {},
) => ({
  a: normal(M * K),
  b: isFloat32 ? normal(K * N) : weights(K * N, transB === 0 ? N : K, M + K + N),
  bias: hasBias ? normal(N) : null,
  c: normal(M * N),
  M,
  N,
  K,
  transA,
  transB,
});

/**
 * The arguments of each kernel for three random sizes and a random switch. A kernel without a line is a compile error. lse, mean
 * and rstd need only be plausible, since all devices get the same values.
 */
export const kernelCases: {
  readonly [K in KernelName]: (a: number, b: number, c: number, flag: boolean) => KernelCase;
} = {
  embedding: (N, C, V) => ({
    ids: ids(N, 0, V),
    table: weights(V * C, C, N + V),
    out: normal(N * C),
    N,
    C,
  }),
  embeddingBackward: (N, C, V) => ({
    ids: ids(N, 0, V),
    dOut: normal(N * C),
    dTable: normal(V * C),
    N,
    C,
    V,
  }),
  gemm: (M, N, K, flag) =>
    gemmCase([M, N, K], { hasBias: flag, transA: (M + K) & 1, transB: (N + (K >> 1)) & 1 }),
  gemmSymmetric: (M, _b, K, flag) => ({
    a: normal(M * K),
    b: normal(K * M),
    c: normal(M * M),
    M,
    K,
    transA: Number(flag),
    transB: (M + K) & 1,
  }),
  linearParametersBackward: (M, N, K) => ({
    x: normal(M * K),
    dY: normal(M * N),
    dWeight: normal(K * N),
    dBias: normal(N),
    M,
    N,
    K,
  }),
  columnSums: (M, N) => ({ x: normal(M * N), sums: normal(N), M, N }),
  add: (a, b) => ({ a: normal(a * b), b: normal(a * b), y: normal(a * b), n: a * b }),
  scale: (a, b) => ({ x: normal(a * b), y: normal(a * b), n: a * b, factor: 0.75 }),
  copy: (a, b) => ({ x: normal(a * b), y: normal(a * b), n: a * b }),
  gelu: (a, b) => ({ x: normal(a * b, 3), y: normal(a * b), n: a * b }),
  geluBackward: (a, b) => ({ x: normal(a * b, 3), dY: normal(a * b), dX: normal(a * b), n: a * b }),
  geluErf: (a, b) => ({ x: normal(a * b, 3), y: normal(a * b), n: a * b }),
  geluErfBackward: (a, b) => ({ x: normal(a * b, 3), dY: normal(a * b), dX: normal(a * b), n: a * b }),
  relu: (a, b) => ({ x: normal(a * b), y: normal(a * b), n: a * b }),
  reluBackward: (a, b) => ({ x: normal(a * b), dY: normal(a * b), dX: normal(a * b), n: a * b }),
  swiglu: (a, b) => ({ gate: normal(a * b, 3), up: normal(a * b), y: normal(a * b), n: a * b }),
  swigluBackward: (a, b) => ({
    gate: normal(a * b, 3),
    up: normal(a * b),
    dY: normal(a * b),
    dGate: normal(a * b),
    dUp: normal(a * b),
    n: a * b,
  }),
  dropout: (a, b, c, flag) => ({
    x: normal(a * b),
    y: normal(a * b),
    n: a * b,
    ...drop(flag ? 0.7 : 0.1, c),
  }),
  softmax: (N, C) => ({ x: normal(N * C, 4), y: normal(N * C), N, C }),
  softmaxBackward: (N, C) => ({ y: positive(N * C), dY: normal(N * C), dX: normal(N * C), N, C }),
  layerNorm: (N, C) => ({
    x: normal(N * C, 2),
    weight: normal(C),
    bias: normal(C),
    y: normal(N * C),
    mean: normal(N),
    rstd: normal(N),
    N,
    C,
    epsilon: 1e-5,
  }),
  layerNormBackward: (N, C) => ({
    x: normal(N * C),
    weight: normal(C),
    mean: normal(N),
    rstd: positive(N),
    dY: normal(N * C),
    dX: normal(N * C),
    dWeight: normal(C),
    dBias: normal(C),
    N,
    C,
  }),
  rmsNorm: (N, C) => ({
    x: normal(N * C, 2),
    weight: normal(C),
    y: normal(N * C),
    rstd: normal(N),
    N,
    C,
    epsilon: 1e-6,
  }),
  rmsNormBackward: (N, C) => ({
    x: normal(N * C),
    weight: normal(C),
    rstd: positive(N),
    dY: normal(N * C),
    dX: normal(N * C),
    dWeight: normal(C),
    N,
    C,
  }),
  rotaryTable: (T, half, B) => ({
    positions: ids(B * T, 0, 5000),
    frequencies: Float32Array.from({ length: half }, (_, i) => 10_000 ** (-i / half)),
    table: normal(2 * B * T * half),
    B,
    T,
    D: 2 * half,
    scale: 1.25,
  }),
  rotary: (N, half, H, flag) => ({
    x: normal(2 * N * H * half),
    table: normal(2 * N * half),
    y: normal(2 * N * H * half),
    N,
    H,
    D: 2 * half,
    inverse: Number(flag),
  }),
  attention: (t, d, b, flag) => {
    const shape = heads(t, d, b, flag);
    const { B, T, H, D } = shape;
    return {
      ...qkv(shape),
      starts: d % 2 === 0 ? documentStarts(B, T) : null,
      out: normal(B * T * H * D),
      lse: normal(B * H * T),
      ...shape,
      ...drop(flag ? 0.3 : 0, t),
    };
  },
  attentionBackward: (t, d, b, flag) => {
    const shape = heads(t, d, b, flag);
    const { B, T, H, G, D, qStride, kStride, vStride } = shape;
    return {
      ...qkv(shape, 0.5),
      starts: d % 2 === 0 ? documentStarts(B, T) : null,
      out: normal(B * T * H * D),
      lse: exact(Array.from({ length: B * H * T }, (_, i) => 4 + (i % 5))),
      dOut: normal(B * T * H * D),
      dQ: view(shape, H, qStride),
      dK: view(shape, G, kStride),
      dV: view(shape, G, vStride),
      ...shape,
      ...drop(flag ? 0.3 : 0, t),
    };
  },
  attentionCached: (t, d, b, flag) => {
    const shape = heads(t, d, b, flag);
    const { B, T, H, G, D } = shape;
    const before = flag ? b : 0;
    const capacity = before + T + 3;
    const positions = Array.from({ length: B * T }, (_, i) => before + (i % T));
    return {
      ...qkv(shape),
      starts: d % 2 === 0 ? exact(positions.map((position) => position >> 1)) : null,
      positions: exact(positions),
      keys: normal(B * G * capacity * D),
      values: normal(B * G * capacity * D),
      out: normal(B * T * H * D),
      ...shape,
      capacity,
    };
  },
  crossEntropy: (N, V, _, flag) => ({
    logits: normal(N * V, 3),
    targets: ids(N, -1, V),
    losses: normal(N),
    lse: normal(N),
    N,
    V,
    smoothing: flag ? 0.1 : 0,
  }),
  crossEntropyBackward: (N, V, _, flag) => ({
    logits: normal(N * V, 2),
    targets: ids(N, -1, V),
    lse: positive(N),
    dLosses: normal(N),
    dLogits: normal(N * V),
    N,
    V,
    smoothing: flag ? 0.1 : 0,
  }),
  targetRank: (N, V) => ({
    logits: normal(N * V),
    targets: ids(N, -1, V),
    ranks: normal(N),
    N,
    V,
  }),
  globalNorm: (a, b, c) => ({
    x: normal(a * b * c),
    partials: normal(2 * Math.ceil((a * b * c) / NORM_BLOCK)),
    norm: normal(1),
    n: a * b * c,
  }),
  checkStep: (a, b, _c, flag) => ({
    lossSum: exact([[4, 5, 6, NaN, Infinity][a % 5]]),
    norm: exact([b]),
    hyper: hyper(0, flag),
    verdict: normal(2),
  }),
  adamw: (a, b, c, flag) => ({
    x: normal(a * b),
    dX: normal(a * b),
    m: normal(a * b),
    v: positive(a * b),
    hyper: hyper(flag ? 1 : 0, isStopped(a)),
    norm: exact([3]),
    n: a * b,
    decayed: Math.min(a * b, a * c),
  }),
  sgd: oneMoment,
  lion: oneMoment,
  muonMomentum: (a, b, _c, flag) => ({
    dX: normal(a * b),
    m: normal(a * b),
    u: normal(a * b),
    hyper: hyper(flag ? 1 : 0, isStopped(a)),
    norm: exact([3]),
    n: a * b,
  }),
  normalize: (a, b, _c, flag) => ({
    x: normal(a * b),
    norm: exact([flag ? 3 : 0]),
    y: normal(a * b),
    n: a * b,
  }),
  normalizeRows: (N, C) => ({ x: normal(N * C), y: normal(N * C), N, C }),
  normalizeColumns: (N, C) => ({ x: normal(N * C), y: normal(N * C), N, C }),
  matrixPolynomial: (M) => ({
    a: normal(M * M),
    square: normal(M * M),
    y: normal(M * M),
    M,
    alpha: 3.4445,
    beta: -4.775,
    gamma: 2.0315,
  }),
  muonUpdate: (a, b) => ({
    x: normal(a * b),
    o: normal(a * b),
    hyper: hyper(0, isStopped(a)),
    n: a * b,
    scale: 1.5,
  }),
  movingAverage: (a, b) => ({
    x: normal(a * b),
    average: normal(a * b),
    hyper: hyper(0, isStopped(a)),
    n: a * b,
  }),
};
