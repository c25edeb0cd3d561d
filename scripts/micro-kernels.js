/**
 * Writes the GEMM micro-kernels in AssemblyScript: each computes an MR×NR tile of C from MR numbers of A and NR numbers of B
 * for each k. The tile stays in registers; a step of k loads NR + MR numbers for MR·NR multiply-adds. Every element is summed
 * in order of k, whatever tile it belongs to. `microKernel` reads A in panels, `microKernelOfRows` reads rows of A in place,
 * for operands in L1 or L2: reading rows from further away costs as much as packing them.
 *
 * The tile of each build; docs/speed.md has the throughput of each:
 *   4×8   plain SIMD, multiply and add
 *   6×8   relaxed SIMD, fused multiply-add      (6×16 would not fit the 16 registers of 128 bits)
 *   6×16  relaxed SIMD with V8's revectorize    (pairs become 256 bits wide: 12 registers of accumulators)
 *
 * The form follows from the code that V8 generates (`node --print-wasm-code`). A step of 6×16 is 12 multiply-adds and 8 loads;
 * a plain loop compiles to 33 instructions, this one to 24, which is a fifth faster beside another hyper-thread:
 *   - Four steps share the loop overhead, each followed by an exit: without the exits, Binaryen would turn
 *     c = madd(…, c); c = madd(…, c) into one expression whose loads all come first and do not fit the registers.
 *   - The first step precedes the loop. V8 loads and broadcasts from (memory + offset) + index, and computes that sum at every
 *     load unless it is already available on every path. So the loop also uses the offsets of the first step only; for rows of
 *     A, three such sums per iteration are cheaper than advancing six pointers at every step.
 */

const STEPS = 4;

const range = (n) => Array.from({ length: n }, (_, i) => i);

/** One step of k: `a(i)` is the address of row i's number, `b` the offset of B's numbers; `number` makes their names unique. */
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

/** Stores a tile according to `out`. The upper vector of each pair is stored first, see src/kernels/elementwise.ts. */
function storeTile(MR, vectors) {
  const row = (i) => (i === 0 ? 'c' : `row${i}`);
  const tile = (line) => range(MR).flatMap((i) => vectors.map((j) => line(i, j)));
  return [
    'const stride = out.stride;',
    ...range(MR - 1).map((i) => `const ${row(i + 1)} = ${row(i)} + stride;`),
    'const bias = out.bias;',
    'if (bias) {',
    ...vectors.map((j) => `const bias${j} = v128.load(${at('bias', 16 * j)});`),
    ...tile((i, j) => `c${i}${j} = f32x4.add(c${i}${j}, bias${j});`),
    '}',
    'if (out.accumulate) {',
    ...tile((i, j) => `c${i}${j} = f32x4.add(v128.load(${at(row(i), 16 * j)}), c${i}${j});`),
    '}',
    ...tile((i, j) => `v128.store(${row(i)}, c${i}${j ^ 1}, ${16 * (j ^ 1)});`),
  ];
}

/**
 * One of the micro-kernels, which differ in how A is read.
 *
 * @param a name of the parameter for A
 * @param address (i, s): address of row i's number in step s of an iteration
 * @param start lines before the first step, `first` lines after it, `next(s)` lines after step s
 */
function kernel({ MR, NR }, name, { a, start = [], address, first, next }) {
  const vectors = range(NR / 4);
  const lines = [
    ...start,
    ...range(MR).flatMap((i) => vectors.map((j) => `let c${i}${j} = f32x4.splat(0);`)),
    ...step(MR, NR, 0, (i) => address(i, 0), 0),
    ...first,
    `b += ${4 * NR};`,
    'for (;;) {',
    ...range(STEPS).flatMap((s) => [
      'if (--k == 0) break;',
      ...step(MR, NR, s + 1, (i) => address(i, s), 4 * NR * s),
      ...next(s),
    ]),
    `b += ${4 * NR * STEPS};`,
    '}',
    ...storeTile(MR, vectors),
  ];
  return `export function ${name}(k: i32, ${a}: usize, lda: usize, b: usize, c: usize, out: Output): void {
${lines.map((line) => `  ${line}`).join('\n')}
}
`;
}

export function microKernels(tile) {
  const { MR } = tile;
  const rows = range(MR);
  const forward = (steps) => rows.map((i) => `a${i} += ${4 * steps};`);
  return `// Written by scripts/micro-kernels.js.
import { Output } from '../gemm/output';
import { madd } from '../vector';

/**
 * c[MR,NR] (+)= Σ_k a[k,:]ᵀ·b[k,:] + bias for k ≥ 1. A has MR contiguous numbers for each k, \`lda\` bytes from one k to the
 * next; B has NR for each k, without gaps.
 */
${kernel(tile, 'microKernel', {
  a: 'a',
  address: (i) => at('a', 4 * i),
  first: ['a += lda;'],
  next: () => ['a += lda;'],
})}
/**
 * \`microKernel\` for A as MR rows of k contiguous numbers, \`lda\` bytes apart. Only the first \`out.rows\` rows are read:
 * the last of them stands in for those beyond it.
 */
${kernel(tile, 'microKernelOfRows', {
  a: 'a0',
  start: [
    'const last = out.rows - 1;',
    ...rows.slice(1).map((i) => `let a${i} = a0 + lda * min(${i}, last);`),
  ],
  address: (i, s) => at(`a${i}`, 4 * s),
  first: forward(1),
  next: (s) => (s === STEPS - 1 ? forward(STEPS) : []),
})}`;
}
