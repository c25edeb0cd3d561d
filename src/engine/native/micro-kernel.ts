/**
 * The AVX-512 micro-kernel: a tile of C of up to 12 rows and 32 columns, accumulated over k in 24 vector registers. Each step
 * of k loads two vectors of B, broadcasts 12 elements of A and executes 24 fused multiply-adds.
 *
 * It reads the panels packed by the WebAssembly kernels, of 6 rows and of 16 columns (scripts/build-kernels.js), two of each
 * per tile. Every element of C is summed in order of k with one rounding per multiply-add, so results are bit-identical to
 * those of the fused WebAssembly builds.
 */
import type { Assembler } from './assembler.ts';
import { blockOffset } from './argument-block.ts';
import { at, k, r10, r11, r13, r14, r15, r8, rax, rbp, rbx, rcx, rdi, rsi, zmm } from './operands.ts';
import type { Vector } from './operands.ts';

/** Rows in a panel of A, columns in a panel of B: MR and NR of the WebAssembly build that packs them. */
export const PANEL_ROWS = 6;
export const PANEL_COLUMNS = 16;
/** Panels of A, and of B, in a full tile. */
export const TILE_PANELS = 2;

const FLOAT = 4;
const VECTOR = 64;
/** Steps of k per iteration of the unrolled loop. */
const UNROLL = 4;
/** Distance of prefetching B into L1, in steps of k: a pair of panels is 48 KiB, which does not fit in L1 next to A. */
const PREFETCH_STEPS = 8;

export interface Tile {
  readonly rows: number;
  /** Vectors of 16 columns: 1 or 2. */
  readonly vectors: number;
}

/** Registers that the macro-kernel sets for a micro-kernel. */
export const registers = {
  block: rdi,
  /** The tile's first panels of A and B. */
  panelA: r14,
  panelB: rsi,
  /** The tile's first element in C, and the row stride in bytes. */
  tileC: r13,
  strideC: rcx,
  /** Bias of the tile's first column, or 0. */
  bias: r8,
  k: r10,
} as const;

/** The current position in each panel. */
const panelsA = [rbx, r15] as const;
const panelsB = [rbp, r11] as const;
/** Step counter; after the loop over k, the current row of C. */
const scratch = rax;

/** For each vector, the mask of the columns within C. */
export const columnMask = (vector: number) => k(vector + 1);

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Appends the code for one tile size. Preserves all `registers`. */
export function microKernel(asm: Assembler, tile: Tile): void {
  const sum = (row: number, vector: number): Vector => zmm(row * tile.vectors + vector);
  for (const i of range(tile.rows * tile.vectors)) asm.vpxord(zmm(i), zmm(i), zmm(i));
  fetchTile(asm, tile);
  startPanels(asm, tile);
  multiply(asm, tile, sum);
  storeTile(asm, tile, sum);
}

/** Prefetches the tile of C, which is stored after the loop. */
function fetchTile(asm: Assembler, { rows, vectors }: Tile): void {
  forEachRow(asm, rows, () => {
    for (const v of range(vectors)) asm.prefetcht0(at(scratch, VECTOR * v));
  });
}

/** Calls `body` with `scratch` at the start of each row of the tile. */
function forEachRow(asm: Assembler, rows: number, body: (row: number) => void): void {
  asm.mov(scratch, registers.tileC);
  for (const row of range(rows)) {
    body(row);
    if (row + 1 < rows) asm.add(scratch, registers.strideC);
  }
}

function startPanels(asm: Assembler, { rows, vectors }: Tile): void {
  asm.mov(panelsA[0], registers.panelA);
  if (rows > PANEL_ROWS) {
    asm.mov32(panelsA[1], at(registers.block, blockOffset('strideA')));
    asm.add(panelsA[1], registers.panelA);
  }
  asm.mov(panelsB[0], registers.panelB);
  if (vectors > 1) {
    asm.mov32(panelsB[1], at(registers.block, blockOffset('strideB')));
    asm.add(panelsB[1], registers.panelB);
  }
}

/** The loop over k. */
function multiply(asm: Assembler, tile: Tile, sum: (row: number, vector: number) => Vector): void {
  const { rows, vectors } = tile;
  const columnsOf = (v: number): Vector => zmm(31 - v);
  // The remaining registers are used in rotation, so that a broadcast need not wait for earlier multiplications.
  const free = range(32 - rows * vectors - vectors).map((i) => zmm(rows * vectors + i));
  let turn = 0;
  const step = (s: number): void => {
    for (const v of range(vectors)) {
      asm.vmovups(columnsOf(v), at(panelsB[v], VECTOR * s));
      asm.prefetcht0(at(panelsB[v], VECTOR * (s + PREFETCH_STEPS)));
    }
    for (const row of range(rows)) {
      const panel = panelsA[Math.floor(row / PANEL_ROWS)];
      const broadcast = free[turn++ % free.length];
      asm.vbroadcastss(broadcast, at(panel, FLOAT * (PANEL_ROWS * s + (row % PANEL_ROWS))));
      for (const v of range(vectors)) asm.vfmadd231ps(sum(row, v), broadcast, columnsOf(v));
    }
  };
  const advance = (steps: number): void => {
    for (const panel of panelsA.slice(0, Math.ceil(rows / PANEL_ROWS)))
      asm.addImmediate(panel, FLOAT * PANEL_ROWS * steps);
    for (const panel of panelsB.slice(0, vectors)) asm.addImmediate(panel, VECTOR * steps);
  };
  const singles = asm.label();
  const end = asm.label();
  asm.mov(scratch, registers.k);
  asm.shr(scratch, Math.log2(UNROLL));
  asm.jumpIf('equal', singles);
  asm.align(32);
  const loop = asm.here();
  for (const s of range(UNROLL)) step(s);
  advance(UNROLL);
  asm.addImmediate(scratch, -1);
  asm.jumpIf('notEqual', loop);
  asm.place(singles);
  asm.mov(scratch, registers.k);
  asm.andImmediate(scratch, UNROLL - 1);
  asm.jumpIf('equal', end);
  const single = asm.here();
  step(0);
  advance(1);
  asm.addImmediate(scratch, -1);
  asm.jumpIf('notEqual', single);
  asm.place(end);
}

/** Stores the tile with bias and accumulation, in the order of scripts/micro-kernels.js. */
function storeTile(
  asm: Assembler,
  { rows, vectors }: Tile,
  sum: (row: number, vector: number) => Vector,
): void {
  const withoutBias = asm.label();
  asm.test(registers.bias, registers.bias);
  asm.jumpIf('equal', withoutBias);
  for (const v of range(vectors)) {
    const bias = zmm(31 - v);
    asm.vmovups(bias, at(registers.bias, VECTOR * v), { mask: columnMask(v), zeroing: true });
    for (const row of range(rows)) asm.vaddps(sum(row, v), sum(row, v), bias);
  }
  asm.place(withoutBias);
  const overwrite = asm.label();
  const end = asm.label();
  const storeRow = (row: number): void => {
    for (const v of range(vectors)) {
      asm.vmovupsStore(at(scratch, VECTOR * v), sum(row, v), { mask: columnMask(v) });
    }
  };
  asm.mov32(scratch, at(registers.block, blockOffset('accumulate')));
  asm.test(scratch, scratch);
  asm.jumpIf('equal', overwrite);
  forEachRow(asm, rows, (row) => {
    for (const v of range(vectors)) {
      const masking = { mask: columnMask(v), zeroing: true };
      asm.vaddps(sum(row, v), sum(row, v), at(scratch, VECTOR * v), masking);
    }
    storeRow(row);
  });
  asm.jmp(end);
  asm.place(overwrite);
  forEachRow(asm, rows, storeRow);
  asm.place(end);
}
