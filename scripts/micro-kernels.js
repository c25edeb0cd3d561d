/**
 * Writes the micro-kernels of matrix products, in AssemblyScript: an MR×NR tile of C from MR numbers of A and NR of B for each
 * k. All of the tile stays in registers while k runs; each step loads NR + MR numbers for MR·NR multiply-adds. The sum over k
 * runs in order in every element, whatever tile it belongs to. There is one for A across k (a panel, or columns of a matrix as
 * it lies) and one for rows of A as they lie, for operands that are near: read from afar, rows cost as much as packing them.
 *
 * One tile for each mode, measured on one core (AMD EPYC, Zen 4 and 5), GFLOP/s in cache:
 *   4×8   plain SIMD, multiply and add          42–46
 *   6×8   relaxed SIMD, fused multiply-add      55     (6×16 would not fit the 16 registers of 128 bits)
 *   6×16  relaxed SIMD with V8's revectorize   110     (pairs become 256 bits wide: 12 registers of accumulators)
 *
 * What V8 makes of it decides (`node --print-wasm-code` shows it). A step of 6×16 is 12 multiply-adds and 8 loads; written as
 * a plain loop it was 33 instructions, written like this 24, a fifth faster where another thread shares the core:
 *   - Four steps a round share the loop's own instructions. There is a way out after each: without one, Binaryen would make
 *     a single expression of c = madd(…, c); c = madd(…, c), whose loads all come first and do not fit the registers.
 *   - The first step stands before the loop. V8 loads and broadcasts from (memory + offset) + index, and computes that sum
 *     each time, unless it has been computed before on any way here. So the loop also keeps to offsets of the first step; for rows
 *     of A, three such sums a round are cheaper than moving their six pointers at each step.
 */

const STEPS = 4;

const range = (n) => Array.from({ length: n }, (_, i) => i);

/** One step of k: `a(i)` is where row i's number is, `b` where B's numbers are; `number` makes the names of both unique. */
function step(MR, NR, number, a, b) {
  const vectors = range(NR / 4);
  const loads = vectors.map((j) => `const b${number}${j} = v128.load(${at('b', b + 16 * j)});`);
  const rows = range(MR).flatMap((i) => [
    `const a${number}${i} = v128.load32_splat(${a(i)});`,
    ...vectors.map((j) => `c${i}${j} = madd(a${number}${i}, b${number}${j}, c${i}${j});`),
  ]);
  return [...loads, ...rows];
}

const at = (pointer, offset) => (offset === 0 ? pointer : `${pointer}, ${offset}`);

/**
 * One of the micro-kernels, which differ in how A is read: `a(i, s)` is where row i's number for step s of a round is; the lines
 * `start` go before the first step, `first` behind it, and `next(s)` behind step s.
 */
function kernel({ MR, NR }, name, parameters, { start = [], a, first, next }) {
  const vectors = range(NR / 4);
  const lines = [
    ...start,
    ...range(MR).flatMap((i) => vectors.map((j) => `let c${i}${j} = f32x4.splat(0);`)),
    ...step(MR, NR, 0, (i) => a(i, 0), 0),
    ...first,
    `b += ${4 * NR};`,
    'for (;;) {',
    ...range(STEPS).flatMap((s) => [
      'if (--k == 0) break;',
      ...step(MR, NR, s + 1, (i) => a(i, s), 4 * NR * s),
      ...next(s),
    ]),
    `b += ${4 * NR * STEPS};`,
    '}',
    ...range(MR).flatMap((i) => [
      `storeRow${NR / 4}(c, bias, accumulate, ${vectors.map((j) => `c${i}${j}`).join(', ')});`,
      'c += ldc;',
    ]),
  ];
  return `export function ${name}(k: i32, ${parameters}, b: usize, c: usize, ldc: usize, bias: usize, accumulate: i32): void {
${lines.map((line) => `  ${line}`).join('\n')}
}
`;
}

export function microKernels(tile) {
  const { MR, NR } = tile;
  const rows = range(MR);
  const forward = (steps) => rows.map((i) => `a${i} += ${4 * steps};`);
  return `// Written by scripts/micro-kernels.js.
import { storeRow${NR / 4} } from '../gemm/store-row';
import { madd } from '../vector';

/**
 * c[MR,NR] (+)= Σ_k a[k,:]ᵀ·b[k,:] + bias for k ≥ 1. A: MR numbers for each k, \`lda\` bytes from one k to the next. B: NR numbers
 * for each k, side by side. \`ldc\`: bytes from row to row of C. \`bias\`: 0, or NR numbers.
 */
${kernel(tile, 'microKernel', 'a: usize, lda: usize', {
  a: (i) => at('a', 4 * i),
  first: ['a += lda;'],
  next: () => ['a += lda;'],
})}
/** The same for rows of A, k numbers each, \`lda\` bytes from row to row: of them the first \`rows\` are read, the last for those that lack. */
${kernel(tile, 'microKernelOfRows', 'a0: usize, lda: usize, rows: i32', {
  start: rows.slice(1).map((i) => `let a${i} = a0 + lda * min(${i}, rows - 1);`),
  a: (i, s) => at(`a${i}`, 4 * s),
  first: forward(1),
  next: (s) => (s === STEPS - 1 ? forward(STEPS) : []),
})}`;
}
