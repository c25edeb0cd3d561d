/**
 * Writes the micro-kernel of the matrix product, in AssemblyScript: an MR×NR tile of C from a panel of A (MR numbers for each
 * k) and a panel of B (NR numbers for each k). All of the tile stays in registers while k runs; each step loads NR + MR
 * numbers for MR·NR multiply-adds. The sum over k runs in order in every element, whatever tile it belongs to.
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
 *     each time, unless it has been computed before on any way here. So the loop also keeps to offsets of the first step.
 */

const STEPS = 4;

const range = (n) => Array.from({ length: n }, (_, i) => i);

/** One step of k; `number` makes its names unique, B's numbers lie `offset` bytes from b. */
function step(MR, NR, number, offset) {
  const load = (what, at) => (at === 0 ? what : `${what}, ${at}`);
  const vectors = range(NR / 4);
  const loads = vectors.map((j) => `const b${number}${j} = v128.load(${load('b', offset + 16 * j)});`);
  const rows = range(MR).flatMap((i) => [
    `const a${number}${i} = v128.load32_splat(${load('a', 4 * i)});`,
    ...vectors.map((j) => `c${i}${j} = madd(a${number}${i}, b${number}${j}, c${i}${j});`),
  ]);
  return [...loads, ...rows, `a += ${4 * MR};`];
}

export function microKernel({ MR, NR }) {
  const vectors = range(NR / 4);
  const lines = [
    ...range(MR).flatMap((i) => vectors.map((j) => `let c${i}${j} = f32x4.splat(0);`)),
    ...step(MR, NR, 0, 0),
    `b += ${4 * NR};`,
    'for (;;) {',
    ...range(STEPS).flatMap((s) => ['if (--k == 0) break;', ...step(MR, NR, s + 1, 4 * NR * s)]),
    `b += ${4 * NR * STEPS};`,
    '}',
    ...range(MR).flatMap((i) => [
      `storeRow${NR / 4}(c, bias, accumulate, ${vectors.map((j) => `c${i}${j}`).join(', ')});`,
      'c += ldc;',
    ]),
  ];
  return `// Written by scripts/micro-kernel.js.
import { storeRow${NR / 4} } from '../gemm/store-row';
import { madd } from '../vector';

/** c[MR,NR] (+)= Σ_k a[k,:]ᵀ·b[k,:] + bias for k ≥ 1; \`ldc\` is the length of a row of C in bytes, \`bias\` 0 or NR numbers. */
export function microKernel(k: i32, a: usize, b: usize, c: usize, ldc: usize, bias: usize, accumulate: i32): void {
${lines.map((line) => `  ${line}`).join('\n')}
}
`;
}
