/** Operands of x86-64 instructions: registers, masks and memory operands. Registers are numbered as in the encoding. */

/** A 64-bit general-purpose register. */
export interface General {
  readonly kind: 'general';
  readonly number: number;
}

/** A 512-bit vector register of 16 float32: zmm0 … zmm31. */
export interface Vector {
  readonly kind: 'vector';
  readonly number: number;
}

/** A mask register, k1 … k7: bit i enables lane i of a vector. (k0 in an instruction means "no mask".) */
export interface Mask {
  readonly kind: 'mask';
  readonly number: number;
}

/** Memory from address `base` + `displacement` on. */
export interface Memory {
  readonly kind: 'memory';
  readonly base: General;
  readonly displacement: number;
}

const general = (number: number): General => ({ kind: 'general', number });

export const rax = general(0);
export const rcx = general(1);
export const rdx = general(2);
export const rbx = general(3);
export const rsp = general(4);
export const rbp = general(5);
export const rsi = general(6);
export const rdi = general(7);
export const r8 = general(8);
export const r9 = general(9);
export const r10 = general(10);
export const r11 = general(11);
export const r12 = general(12);
export const r13 = general(13);
export const r14 = general(14);
export const r15 = general(15);

export const zmm = (number: number): Vector => ({ kind: 'vector', number });
export const k = (number: number): Mask => ({ kind: 'mask', number });
export const at = (base: General, displacement = 0): Memory => ({ kind: 'memory', base, displacement });
