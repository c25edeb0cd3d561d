/**
 * An assembler for the instructions that the AVX-512 kernels need, one method each, named after its mnemonic. Operands are in
 * Intel's order: the destination first.
 */
import {
  evex,
  int32,
  MAP_0F,
  MAP_0F38,
  modRM,
  NO_PREFIX,
  PREFIX_66,
  rex,
  vex,
  type Masking,
  type Register,
} from './encoding.ts';
import type { General, Mask, Memory, Vector } from './operands.ts';

/** Condition codes of jumps and conditional moves, for signed comparisons. */
const conditions = { equal: 4, notEqual: 5, less: 12, lessOrEqual: 14, greater: 15 } as const;
export type Condition = keyof typeof conditions;

/** A place in the code that jumps refer to. */
export interface Label {
  readonly kind: 'label';
}

export class Assembler {
  readonly #bytes: number[] = [];
  readonly #places = new Map<Label, number>();
  /** Offsets of the jumps' displacements, which are filled in once all labels are placed. */
  readonly #jumps: { at: number; to: Label }[] = [];

  /** Length of the code so far, in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  label(): Label {
    return { kind: 'label' };
  }

  /** Places a label at the next instruction. */
  place(label: Label): void {
    if (this.#places.has(label)) throw new Error('the label has been placed before');
    this.#places.set(label, this.length);
  }

  /** A new label for the next instruction. */
  here(): Label {
    const label = this.label();
    this.place(label);
    return label;
  }

  /** Pads the code with one-byte NOPs to a multiple of `bytes`. */
  align(bytes: number): void {
    while (this.length % bytes !== 0) this.#emit([0x90]);
  }

  /** The code with all jumps resolved. @throws Error if a label has not been placed */
  finish(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    for (const { at, to } of this.#jumps) {
      const target = this.#places.get(to);
      if (target === undefined) throw new Error('a jump targets a label that has not been placed');
      code.set(int32(target - (at + 4)), at); // relative to the end of the jump
    }
    return code;
  }

  #emit(bytes: readonly number[]): void {
    this.#bytes.push(...bytes);
  }

  #general(wide: boolean, opcode: readonly number[], reg: number, rm: Register | Memory): void {
    this.#emit([...rex(wide, reg, rm), ...opcode, ...modRM(reg, rm)]);
  }

  #jump(opcode: readonly number[], to: Label): void {
    this.#emit(opcode);
    this.#jumps.push({ at: this.length, to });
    this.#emit(int32(0));
  }

  // 64-bit general-purpose registers. Immediates are signed 32-bit numbers.

  mov(to: General, from: General | Memory): void {
    this.#general(true, [0x8b], to.number, from);
  }
  /** Loads 32 bits, zero-extended. */
  mov32(to: General, from: General | Memory): void {
    this.#general(false, [0x8b], to.number, from);
  }
  movImmediate(to: General, value: number): void {
    this.#general(true, [0xc7], 0, to);
    this.#emit(int32(value));
  }
  cmov(condition: Condition, to: General, from: General): void {
    this.#general(true, [0x0f, 0x40 | conditions[condition]], to.number, from);
  }
  add(to: General, from: General | Memory): void {
    this.#general(true, [0x03], to.number, from);
  }
  addImmediate(to: General, value: number): void {
    this.#general(true, [0x81], 0, to);
    this.#emit(int32(value));
  }
  /** `to` = `from` · `value`. */
  imulImmediate(to: General, from: General, value: number): void {
    this.#general(true, [0x69], to.number, from);
    this.#emit(int32(value));
  }
  andImmediate(to: General, value: number): void {
    this.#general(true, [0x81], 4, to);
    this.#emit(int32(value));
  }
  /** Logical right shift. */
  shr(to: General, count: number): void {
    this.#general(true, [0xc1], 5, to);
    this.#emit([count]);
  }
  cmp(a: General, b: General): void {
    this.#general(true, [0x3b], a.number, b);
  }
  cmpImmediate(a: General, value: number): void {
    this.#general(true, [0x81], 7, a);
    this.#emit(int32(value));
  }
  test(a: General, b: General): void {
    this.#general(true, [0x85], b.number, a);
  }
  /** `to` = the lowest `count` bits of `from`. Needs BMI2. */
  bzhi(to: General, from: General, count: General): void {
    const opcode = { map: MAP_0F38, prefix: NO_PREFIX, opcode: 0xf5, wide: true };
    this.#emit(vex(opcode, to.number, count.number, from));
  }

  // Control flow, stack, CPU identification.

  jmp(to: Label): void {
    this.#jump([0xe9], to);
  }
  /** Jumps if the flags satisfy the condition. */
  jumpIf(condition: Condition, to: Label): void {
    this.#jump([0x0f, 0x80 | conditions[condition]], to);
  }
  push(register: General): void {
    this.#emit([...rex(false, 0, register), 0x50 | (register.number & 7)]);
  }
  pop(register: General): void {
    this.#emit([...rex(false, 0, register), 0x58 | (register.number & 7)]);
  }
  ret(): void {
    this.#emit([0xc3]);
  }
  /** Identifies the CPU: leaf in eax, subleaf in ecx; result in eax, ebx, ecx and edx. */
  cpuid(): void {
    this.#emit([0x0f, 0xa2]);
  }
  /** Reads the extended control register whose number is in ecx; result in eax and edx. */
  xgetbv(): void {
    this.#emit([0x0f, 0x01, 0xd0]);
  }
  /** Prefetches a cache line. Never faults. */
  prefetcht0(place: Memory): void {
    this.#general(false, [0x0f, 0x18], 1, place);
  }

  // Vectors of 16 float32. Needs AVX512F.

  /** Sets a mask from the lowest 16 bits of a general-purpose register. */
  kmovw(to: Mask, from: General): void {
    this.#emit(vex({ map: MAP_0F, prefix: NO_PREFIX, opcode: 0x92 }, to.number, 0, from));
  }
  /** Loads a vector. Masked-off lanes are not read. */
  vmovups(to: Vector, from: Memory, masking?: Masking): void {
    this.#emit(evex({ map: MAP_0F, prefix: NO_PREFIX, opcode: 0x10 }, to.number, 0, from, masking));
  }
  /** Stores a vector. Masked-off lanes are not written. */
  vmovupsStore(to: Memory, from: Vector, masking?: Masking): void {
    this.#emit(evex({ map: MAP_0F, prefix: NO_PREFIX, opcode: 0x11 }, from.number, 0, to, masking));
  }
  /** Loads the lowest 128 bits of a vector, one of the first 16. */
  movups(to: Vector, from: Memory): void {
    this.#general(false, [0x0f, 0x10], to.number, from);
  }
  /** Stores the lowest 128 bits of a vector, one of the first 16. */
  movupsStore(to: Memory, from: Vector): void {
    this.#general(false, [0x0f, 0x11], from.number, to);
  }
  /** Broadcasts one number from memory to all lanes. */
  vbroadcastss(to: Vector, from: Memory): void {
    this.#emit(evex({ map: MAP_0F38, prefix: PREFIX_66, opcode: 0x18 }, to.number, 0, from, { unit: 4 }));
  }
  /** `to` += `a` · `b`, rounded once. */
  vfmadd231ps(to: Vector, a: Vector, b: Vector): void {
    this.#emit(evex({ map: MAP_0F38, prefix: PREFIX_66, opcode: 0xb8 }, to.number, a.number, b));
  }
  /** `to` = `a` + `b`. */
  vaddps(to: Vector, a: Vector, b: Vector | Memory, masking?: Masking): void {
    this.#emit(evex({ map: MAP_0F, prefix: NO_PREFIX, opcode: 0x58 }, to.number, a.number, b, masking));
  }
  /** `to` = `a` XOR `b`; a register XOR itself is 0. */
  vpxord(to: Vector, a: Vector, b: Vector): void {
    this.#emit(evex({ map: MAP_0F, prefix: PREFIX_66, opcode: 0xef }, to.number, a.number, b));
  }
  /** Clears the upper parts of the vector registers, which would slow down subsequent SSE code. */
  vzeroupper(): void {
    this.#emit([0xc5, 0xf8, 0x77]);
  }
}
