/**
 * The AVX-512 macro-kernel: C (+)= A·B + bias for packed A and B, the counterpart of src/kernels/gemm/macro-kernel.ts, which
 * fills in its argument block. A pair of panels of B stays in cache while it is multiplied with all panels of A.
 *
 * A function that takes the address of the block and returns nothing.
 */
import type { Assembler, Label } from './assembler.ts';
import { blockOffset, type BlockField } from './argument-block.ts';
import { enter, leave, type CallingConvention, type Prologue } from './calling-convention.ts';
import {
  columnMask,
  microKernel,
  PANEL_COLUMNS,
  PANEL_ROWS,
  registers,
  TILE_PANELS,
} from './micro-kernel.ts';
import { at, r12, r13, r14, r15, r9, rax, rbp, rbx, rdi, rdx, rsi, type General } from './operands.ts';

const changed = { registers: [rbx, rbp, rsi, rdi, r12, r13, r14, r15], changesVectors: true };
const ROWS = TILE_PANELS * PANEL_ROWS;
const COLUMNS = TILE_PANELS * PANEL_COLUMNS;
const TILE_BYTES = 4 * COLUMNS;

/** Registers of the loops, in addition to those that the micro-kernels read. */
const columnsLeft = r9;
const rowsLeft = r12;
/** The first row of C at the current columns. */
const columnC = rdx;

const { block, panelA, panelB, tileC, strideC, bias } = registers;

/** Appends the function's code. */
export function macroKernel(asm: Assembler, convention: CallingConvention): Prologue {
  const prologue = enter(asm, convention, changed);
  if (convention.argument !== block) asm.mov(block, convention.argument);
  asm.mov32(strideC, at(block, blockOffset('strideC')));
  asm.mov32(registers.k, at(block, blockOffset('k')));
  asm.mov32(columnsLeft, at(block, blockOffset('columns')));
  loadAddress(asm, panelB, 'b');
  loadAddress(asm, columnC, 'c');
  loadBias(asm);
  const end = asm.label();
  const narrow = asm.label();
  const wide = asm.here();
  startColumns(asm);
  asm.cmpImmediate(columnsLeft, PANEL_COLUMNS);
  asm.jumpIf('lessOrEqual', narrow);
  forEachTile(asm, 2);
  nextColumns(asm);
  asm.jumpIf('greater', wide);
  asm.jmp(end);
  asm.place(narrow); // only one panel of B is left
  forEachTile(asm, 1);
  asm.place(end);
  leave(asm, convention, changed);
  return prologue;
}

/** Loads an address field. Clobbers rax. */
function loadAddress(asm: Assembler, to: General, field: BlockField): void {
  asm.mov32(to, at(block, blockOffset(field)));
  asm.add(to, at(block, blockOffset('base')));
}

function loadBias(asm: Assembler): void {
  const none = asm.label();
  asm.mov32(bias, at(block, blockOffset('bias')));
  asm.test(bias, bias);
  asm.jumpIf('equal', none);
  asm.add(bias, at(block, blockOffset('base')));
  asm.place(none);
}

/** Prepares a pass over the rows: masks of up to 32 columns, the first panel of A, the first row of C. */
function startColumns(asm: Assembler): void {
  asm.movImmediate(rbx, COLUMNS);
  asm.cmp(columnsLeft, rbx);
  asm.cmov('less', rbx, columnsLeft);
  asm.movImmediate(rax, -1);
  asm.bzhi(rax, rax, rbx);
  asm.kmovw(columnMask(0), rax);
  asm.shr(rax, PANEL_COLUMNS);
  asm.kmovw(columnMask(1), rax);
  loadAddress(asm, panelA, 'a');
  asm.mov(tileC, columnC);
  asm.mov32(rowsLeft, at(block, blockOffset('rows')));
}

/** Advances by a pair of panels of B. Leaves the flags of comparing the remaining columns with 0. */
function nextColumns(asm: Assembler): void {
  addField(asm, panelB, 'strideB', TILE_PANELS);
  asm.addImmediate(columnC, TILE_BYTES);
  const none = asm.label();
  asm.test(bias, bias);
  asm.jumpIf('equal', none);
  asm.addImmediate(bias, TILE_BYTES);
  asm.place(none);
  asm.addImmediate(columnsLeft, -COLUMNS);
}

/** `to` += field · factor. Clobbers rax. */
function addField(asm: Assembler, to: General, field: BlockField, factor: number): void {
  asm.mov32(rax, at(block, blockOffset(field)));
  asm.imulImmediate(rax, rax, factor);
  asm.add(to, rax);
}

/**
 * Computes the tiles of one or two panels of B from the first row to the last: full tiles, then the remaining rows with a
 * micro-kernel of that height.
 */
function forEachTile(asm: Assembler, vectors: 1 | 2): void {
  const rest = asm.label();
  const end = asm.label();
  const whole = asm.here();
  asm.cmpImmediate(rowsLeft, ROWS);
  asm.jumpIf('less', rest);
  microKernel(asm, { rows: ROWS, vectors });
  addField(asm, panelA, 'strideA', TILE_PANELS);
  asm.imulImmediate(rax, strideC, ROWS);
  asm.add(tileC, rax);
  asm.addImmediate(rowsLeft, -ROWS);
  asm.jmp(whole);
  asm.place(rest);
  const kernels: Label[] = [];
  for (let rows = 1; rows < ROWS; rows++) {
    const kernel = asm.label();
    kernels.push(kernel);
    asm.cmpImmediate(rowsLeft, rows);
    asm.jumpIf('equal', kernel);
  }
  asm.jmp(end); // no row is left
  kernels.forEach((kernel, i) => {
    asm.place(kernel);
    microKernel(asm, { rows: i + 1, vectors });
    asm.jmp(end);
  });
  asm.place(end);
}
