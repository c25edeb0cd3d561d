/**
 * The instruction set: every kernel and its parameters, in calling order.
 *
 * This one table types the instructions that the autodiff planner emits, the reference kernels in
 * `engine/reference/` and, through the classes and the dispatcher generated from it (scripts/kernel-dispatch.js), the
 * AssemblyScript kernels in `kernels/`.
 * A kernel that is listed here but missing in a backend is a compile error.
 *
 * The role of a parameter:
 *   read        float32 buffer, only read
 *   optional    as `read`, and may be absent (null: no bias)
 *   weights     as `read`, and may be stored in one of the narrower types of STORAGE, which the kernel widens to float32
 *   write       float32 buffer, overwritten, every element
 *   accumulate  float32 buffer and a flag: overwritten (0) or added to (1); the planner decides which
 *   update      float32 buffer, read and rewritten in place
 *   ids         int32 buffer, only read
 *   optionalIds as `ids`, and may be absent (null)
 *   size        integer that does not change between runs: a shape, a site number, a switch
 *   scalar      float that does not change between runs
 *   constants   floats that do not change between runs, stored with the program
 *
 * Shapes: N rows, C channels, V vocabulary, B batch, T time, H query heads, G key/value heads, D head size; all row-major.
 */
export type Role =
  | 'read'
  | 'optional'
  | 'weights'
  | 'write'
  | 'accumulate'
  | 'update'
  | 'ids'
  | 'optionalIds'
  | 'size'
  | 'scalar'
  | 'constants';

/** How numbers are stored in memory, and the code of each type in an instruction. For q8 see q8.ts. */
export const STORAGE = { f32: 0, bf16: 1, f16: 2, q8: 3 } as const;
export type Storage = keyof typeof STORAGE;
/** Types that kernels only read. */
export type NarrowStorage = Exclude<Storage, 'f32'>;
/** Types of two bytes a number, which float32 includes. */
export type HalfStorage = Exclude<NarrowStorage, 'q8'>;

/** Roles of buffers that a kernel changes. */
export const WRITE_ROLES: ReadonlySet<Role> = new Set<Role>(['write', 'accumulate', 'update']);

const define = <const S extends Record<string, Record<string, Role>>>(signatures: S): S => signatures;

export const signatures = define({
  /** out[n,:] = table[ids[n],:]; ids [N], table [V,C], out [N,C]. */
  embedding: { ids: 'ids', table: 'weights', out: 'write', N: 'size', C: 'size' },
  /** dTable[v,:] (+)= Σ_{n: ids[n]=v} dOut[n,:], in order of n. Overwriting also clears the unused rows. */
  embeddingBackward: { ids: 'ids', dOut: 'read', dTable: 'accumulate', N: 'size', C: 'size', V: 'size' },

  /**
   * c[M,N] (+)= op(a) · op(b) + bias[N]; op(a) is [M,K], stored [K,M] if transA; op(b) is [K,N], stored [N,K] if transB. With
   * up to GEMV_ROWS rows and a transposed b in q8, a is rounded to 16 bits (kernels/gemm/gemv-blocks.ts).
   */
  gemm: {
    a: 'read',
    b: 'weights',
    bias: 'optional',
    c: 'accumulate',
    M: 'size',
    N: 'size',
    K: 'size',
    transA: 'size',
    transB: 'size',
  },
  /**
   * c[M,M] = op(a)·op(b) where that is symmetric, as for a·aᵀ or products of polynomials of one symmetric matrix: the lower
   * triangle is computed and mirrored. op(a) is [M,K], op(b) [K,M], stored as for `gemm`.
   */
  gemmSymmetric: {
    a: 'read',
    b: 'read',
    c: 'write',
    M: 'size',
    K: 'size',
    transA: 'size',
    transB: 'size',
  },
  /** dWeight[K,N] (+)= xᵀ·dY, dBias[N] (+)= Σ_m dY[m,:]; x [M,K], dY [M,N]. */
  linearParametersBackward: {
    x: 'read',
    dY: 'read',
    dWeight: 'accumulate',
    dBias: 'accumulate',
    M: 'size',
    N: 'size',
    K: 'size',
  },

  /** sums[N] (+)= Σ_m x[m,:], in order of m; x [M,N]. */
  columnSums: { x: 'read', sums: 'accumulate', M: 'size', N: 'size' },

  /** y = a + b, n elements. */
  add: { a: 'read', b: 'read', y: 'write', n: 'size' },
  /** y (+)= factor·x, n elements. */
  scale: { x: 'read', y: 'accumulate', n: 'size', factor: 'scalar' },
  /** y (+)= x, n elements. */
  copy: { x: 'read', y: 'accumulate', n: 'size' },
  /** y = ½x(1 + tanh(√(2/π)(x + 0.044715x³))), GPT-2's gelu_new. */
  gelu: { x: 'read', y: 'write', n: 'size' },
  geluBackward: { x: 'read', dY: 'read', dX: 'accumulate', n: 'size' },
  /** y = x·Φ(x), Φ the normal distribution function: the exact GELU. */
  geluErf: { x: 'read', y: 'write', n: 'size' },
  geluErfBackward: { x: 'read', dY: 'read', dX: 'accumulate', n: 'size' },
  /** y = max(x, 0). */
  relu: { x: 'read', y: 'write', n: 'size' },
  /** dX (+)= dY where x > 0. */
  reluBackward: { x: 'read', dY: 'read', dX: 'accumulate', n: 'size' },

  /** y = silu(gate)·up with silu(x) = x/(1 + e^(−x)), n elements. */
  swiglu: { gate: 'read', up: 'read', y: 'write', n: 'size' },
  swigluBackward: {
    gate: 'read',
    up: 'read',
    dY: 'read',
    dGate: 'accumulate',
    dUp: 'accumulate',
    n: 'size',
  },

  /**
   * y (+)= x·mask/(1 − p), where element i is kept if its random word ≥ `threshold` = round(p·2³²) and `scale` = 1/(1 − p).
   * Random word i is lane i mod 4 of philox4x32-10 with counter (⌊i/4⌋, site, rng[2], rng[3]) and key (rng[0], rng[1]).
   * Forward and backward are the same kernel: dX (+)= dY·mask/(1 − p).
   * `threshold` is an unsigned 32-bit number passed as a signed one (threshold | 0).
   */
  dropout: {
    x: 'read',
    rng: 'ids',
    y: 'accumulate',
    n: 'size',
    site: 'size',
    threshold: 'size',
    scale: 'scalar',
  },

  /** Softmax over rows; x, y [N,C]. */
  softmax: { x: 'read', y: 'write', N: 'size', C: 'size' },
  /** dX = y ⊙ (dY − Σ_c dY·y). */
  softmaxBackward: { y: 'read', dY: 'read', dX: 'accumulate', N: 'size', C: 'size' },

  /** y = (x − mean)·rstd·weight + bias over rows of [N,C]; saves mean [N] and rstd [N] = 1/√(var + epsilon). */
  layerNorm: {
    x: 'read',
    weight: 'read',
    bias: 'read',
    y: 'write',
    mean: 'write',
    rstd: 'write',
    N: 'size',
    C: 'size',
    epsilon: 'scalar',
  },
  /** dX [N,C]; dWeight[C] (+)= Σ_n dY·x̂, dBias[C] (+)= Σ_n dY. */
  layerNormBackward: {
    x: 'read',
    weight: 'read',
    mean: 'read',
    rstd: 'read',
    dY: 'read',
    dX: 'accumulate',
    dWeight: 'accumulate',
    dBias: 'accumulate',
    N: 'size',
    C: 'size',
  },

  /** y = x·rstd·weight over rows of [N,C]; saves rstd [N] = 1/√(mean(x²) + epsilon). */
  rmsNorm: { x: 'read', weight: 'read', y: 'write', rstd: 'write', N: 'size', C: 'size', epsilon: 'scalar' },
  /** dX [N,C]; dWeight[C] (+)= Σ_n dY·x·rstd. */
  rmsNormBackward: {
    x: 'read',
    weight: 'read',
    rstd: 'read',
    dY: 'read',
    dX: 'accumulate',
    dWeight: 'accumulate',
    N: 'size',
    C: 'size',
  },

  /**
   * Per position p of [B,T] a row of table [B,T,D]: scale·cos(p·f[i]) for i < D/2, then scale·sin(p·f[i]), f the frequencies
   * [D/2]. p·f is rounded to float32 as `transformers` rounds it, which moves the angles of late positions.
   */
  rotaryTable: {
    positions: 'ids',
    frequencies: 'constants',
    table: 'write',
    B: 'size',
    T: 'size',
    D: 'size',
    scale: 'scalar',
  },
  /**
   * y (+)= x [N,H·D] with channels i and i + D/2 of each head rotated by the angles of its row of table [N,D];
   * inverse 1 rotates back, which is the derivative.
   */
  rotary: { x: 'read', table: 'read', y: 'accumulate', N: 'size', H: 'size', D: 'size', inverse: 'size' },

  /**
   * Causal attention: per query head softmax(q·kᵀ/√D, masked to starts[b,i] ≤ j ≤ i)·v → out [B,T,H·D].
   * q holds H heads for each of the B·T positions, k and v hold G, and query head h reads key/value head ⌊h·G/H⌋
   * (grouped-query attention, Ainslie et al. 2023; G divides H). Each of the three is a view: the heads of a position are
   * adjacent, rows are `qStride`, `kStride` and `vStride` elements apart.
   * starts [B,T] is the start of each position's document, non-decreasing along T; null: all 0.
   * Saves lse [B,H,T], the log-sum-exp of each row of scaled scores, from which backward recomputes the probabilities.
   * Dropout of probabilities as in `dropout`, with element index ((b·H + h)·T + i)·T' + j, where T' is T rounded up to a
   * multiple of 4; threshold 0 disables it.
   */
  attention: {
    q: 'read',
    k: 'read',
    v: 'read',
    starts: 'optionalIds',
    rng: 'ids',
    out: 'write',
    lse: 'write',
    B: 'size',
    T: 'size',
    H: 'size',
    G: 'size',
    D: 'size',
    qStride: 'size',
    kStride: 'size',
    vStride: 'size',
    site: 'size',
    threshold: 'size',
    scale: 'scalar',
  },
  /**
   * dQ, dK and dV, laid out as q, k and v, from dOut [B,T,H·D]; dK and dV are sums over the query heads of a group, in order.
   * `out` gives Σ_j dP·P = dOut·out per row (FlashAttention, Dao et al. 2022, eq. 4).
   */
  attentionBackward: {
    q: 'read',
    k: 'read',
    v: 'read',
    starts: 'optionalIds',
    rng: 'ids',
    out: 'read',
    lse: 'read',
    dOut: 'read',
    dQ: 'accumulate',
    dK: 'accumulate',
    dV: 'accumulate',
    B: 'size',
    T: 'size',
    H: 'size',
    G: 'size',
    D: 'size',
    qStride: 'size',
    kStride: 'size',
    vStride: 'size',
    site: 'size',
    threshold: 'size',
    scale: 'scalar',
  },
  /**
   * Attention with a KV cache: appends this call's keys and values at rows positions[b·T + t] of keys and values
   * [B,G,capacity,D], then attends each query to rows starts[b·T + t] … its own position. q, k, v and out as in `attention`,
   * positions and starts [B,T].
   */
  attentionCached: {
    q: 'read',
    k: 'read',
    v: 'read',
    starts: 'optionalIds',
    positions: 'ids',
    keys: 'update',
    values: 'update',
    out: 'write',
    B: 'size',
    T: 'size',
    H: 'size',
    G: 'size',
    D: 'size',
    qStride: 'size',
    kStride: 'size',
    vStride: 'size',
    capacity: 'size',
  },

  /**
   * losses[n] = lse[n] − Σ_v q[v]·logits[n,v] with lse[n] = log Σ_v exp(logits[n,v]) and q = (1 − smoothing)·onehot(targets[n])
   * + smoothing/V; nats; logits [N,V]. A target below 0 is ignored: its loss is 0.
   */
  crossEntropy: {
    logits: 'read',
    targets: 'ids',
    losses: 'write',
    lse: 'write',
    N: 'size',
    V: 'size',
    smoothing: 'scalar',
  },
  /** dLogits (+)= (softmax(logits) − q)·dLosses[n]; 0 where the target is below 0. */
  crossEntropyBackward: {
    logits: 'read',
    targets: 'ids',
    lse: 'read',
    dLosses: 'read',
    dLogits: 'accumulate',
    N: 'size',
    V: 'size',
    smoothing: 'scalar',
  },
  /**
   * ranks[n] = number of tokens likelier than the target: 0 if it is the top prediction. Among equal logits, smaller ids come
   * first. −1 where the target is below 0. logits [N,V].
   */
  targetRank: { logits: 'read', targets: 'ids', ranks: 'write', N: 'size', V: 'size' },

  /**
   * norm[0] = √Σ x², rounded once to float32: partial sums over fixed blocks of NORM_BLOCK elements, then their sum. Sums are
   * float64 or, on a device without it, unevaluated sums of two float32 (48 bits); partials [2·⌈n/NORM_BLOCK⌉] is scratch for
   * either.
   */
  globalNorm: { x: 'read', partials: 'update', norm: 'write', n: 'size' },
  /**
   * Sets hyper.stopped to 1 unless lossSum[0] and norm[0] are finite and lossSum[0] is at most hyper.lossLimit. verdict[0] =
   * norm[0], verdict[1] = hyper.stopped. Until hyper.stopped is 0 again, the kernels below that read hyper write nothing.
   */
  checkStep: { lossSum: 'read', norm: 'read', hyper: 'update', verdict: 'write' },
  /**
   * One AdamW step (Loshchilov & Hutter 2019) over n parameters, of which the first `decayed` get weight decay.
   * hyper: see HYPER below. The gradient is scaled by min(1, clip/norm[0]) if clip > 0.
   */
  adamw: {
    x: 'update',
    dX: 'read',
    m: 'update',
    v: 'update',
    hyper: 'read',
    norm: 'read',
    n: 'size',
    decayed: 'size',
  },
  /** One SGD step with momentum: m = momentum·m + (g + weightDecay·x), x −= lr·m; decay on the first `decayed` only. */
  sgd: { x: 'update', dX: 'read', m: 'update', hyper: 'read', norm: 'read', n: 'size', decayed: 'size' },
  /**
   * Lion (Chen et al. 2023): x = x·(1 − lr·weightDecay) − lr·sign(β₁·m + (1 − β₁)·g), then m = β₂·m + (1 − β₂)·g; sign(0) = 0,
   * decay on the first `decayed` only. g is the gradient, clipped as for AdamW.
   */
  lion: { x: 'update', dX: 'read', m: 'update', hyper: 'read', norm: 'read', n: 'size', decayed: 'size' },
  /**
   * Muon's Nesterov momentum (Jordan 2024) over n elements: m = μ·m + (1 − μ)·g, and the update direction u = (1 − μ)·g + μ·m. g is
   * the gradient, clipped as for AdamW.
   */
  muonMomentum: { dX: 'read', m: 'update', u: 'write', hyper: 'read', norm: 'read', n: 'size' },
  /** y = x/max(norm[0], 1e-7), n elements. */
  normalize: { x: 'read', norm: 'read', y: 'write', n: 'size' },
  /** y = x [N,C] with each row divided by max(its length, 1e-7). */
  normalizeRows: { x: 'read', y: 'write', N: 'size', C: 'size' },
  /** The same for columns. */
  normalizeColumns: { x: 'read', y: 'write', N: 'size', C: 'size' },
  /** y = alpha·I + beta·a + gamma·square, all [M,M]. */
  matrixPolynomial: {
    a: 'read',
    square: 'read',
    y: 'write',
    M: 'size',
    alpha: 'scalar',
    beta: 'scalar',
    gamma: 'scalar',
  },
  /** x = x·(1 − lr·weightDecay) − lr·scale·o with lr the learning rate of matrices, n elements. */
  muonUpdate: { x: 'update', o: 'read', hyper: 'read', n: 'size', scale: 'scalar' },
  /** average += averageRate·(x − average), n elements: an exponential moving average over updates. */
  movingAverage: { x: 'read', average: 'update', hyper: 'read', n: 'size' },
});

export type Signatures = typeof signatures;
export type KernelName = keyof Signatures;

/**
 * Kernels that may write their result over this operand: element i of the result depends on no other element of it
 * (crossEntropyBackward: of its row's saved lse; rotary: of its pair, which is read before either is written; normalizeRows and
 * normalizeColumns: of its row or column, whose length is known before any element is written). The planner then lets the two
 * share a buffer if the operand is not read again.
 */
export const inPlace: { readonly [K in KernelName]?: { readonly result: string; readonly operand: string } } =
  {
    add: { result: 'y', operand: 'a' },
    scale: { result: 'y', operand: 'x' },
    gelu: { result: 'y', operand: 'x' },
    geluBackward: { result: 'dX', operand: 'dY' },
    geluErf: { result: 'y', operand: 'x' },
    geluErfBackward: { result: 'dX', operand: 'dY' },
    normalize: { result: 'y', operand: 'x' },
    normalizeRows: { result: 'y', operand: 'x' },
    normalizeColumns: { result: 'y', operand: 'x' },
    matrixPolynomial: { result: 'y', operand: 'square' },
    relu: { result: 'y', operand: 'x' },
    reluBackward: { result: 'dX', operand: 'dY' },
    swiglu: { result: 'y', operand: 'up' },
    swigluBackward: { result: 'dUp', operand: 'dY' },
    rotary: { result: 'y', operand: 'x' },
    dropout: { result: 'y', operand: 'x' },
    crossEntropyBackward: { result: 'dLogits', operand: 'logits' },
  };

/**
 * Parameters that may be strided views of a larger buffer, and the parameter that says how many elements apart their rows are.
 * Every other buffer is contiguous.
 */
export const strides: { readonly [K in KernelName]?: Readonly<Record<string, keyof Signatures[K]>> } = {
  attention: { q: 'qStride', k: 'kStride', v: 'vStride' },
  attentionBackward: {
    q: 'qStride',
    k: 'kStride',
    v: 'vStride',
    dQ: 'qStride',
    dK: 'kStride',
    dV: 'vStride',
  },
  attentionCached: { q: 'qStride', k: 'kStride', v: 'vStride' },
};

/** Slots of the `hyper` buffer, written by the training loop before each optimizer step. */
export const HYPER = {
  learningRate: 0,
  beta1: 1,
  beta2: 2,
  epsilon: 3,
  weightDecay: 4,
  /** 1 − β₁ᵗ and 1 − β₂ᵗ, the bias corrections of step t. */
  correction1: 5,
  correction2: 6,
  /** Maximum global gradient norm; 0 disables clipping. */
  clip: 7,
  momentum: 8,
  /** 1 − β₁ and 1 − β₂, rounded once: in float32, 1 − fround(0.999999) is 1.3 % off. */
  oneMinusBeta1: 9,
  oneMinusBeta2: 10,
  oneMinusMomentum: 11,
  /** Learning rate of the matrices that Muon updates. */
  matrixLearningRate: 12,
  /** Weight of the newest parameters in their moving average. */
  averageRate: 13,
  /** For a step that is submitted before the losses of earlier ones are known: the largest sum of its losses. */
  lossLimit: 14,
  /** Not 0: no update takes effect. */
  stopped: 15,
} as const;
export const HYPER_SLOTS = 16;

/** Elements in each block of globalNorm's sum. The blocks define the result, so they do not depend on the number of threads. */
export const NORM_BLOCK = 4096;

/**
 * GEMMs with up to this many rows and a transposed b are computed row by row (GEMV), so that the bits of a row do not depend
 * on other rows. Batched decoding relies on this.
 */
export const GEMV_ROWS = 16;

type OptionalRole = 'optional' | 'optionalIds';
type BufferRole = Exclude<Role, 'size' | 'scalar' | 'constants' | OptionalRole>;
/**
 * Arguments of kernel K: a B for each buffer (null for an absent optional one), a number for each size and scalar, an array for
 * constants.
 */
export type KernelArguments<K extends KernelName, B> = {
  [P in keyof Signatures[K]]: Signatures[K][P] extends BufferRole
    ? B
    : Signatures[K][P] extends OptionalRole
      ? B | null
      : Signatures[K][P] extends 'constants'
        ? Float32Array
        : number;
};

/** An argument of any kernel. */
export type Argument<B> = B | Float32Array | number | null;

/** Whether an argument is a buffer. */
export const isBuffer = <B extends object>(arg: Argument<B> | undefined): arg is B =>
  typeof arg === 'object' && arg !== null && !(arg instanceof Float32Array);
