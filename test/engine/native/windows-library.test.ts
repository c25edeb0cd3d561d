/**
 * The library for Windows. Its functions are called here on Linux, through a few instructions that pass the argument as
 * Windows does and record what is left in the registers that a caller expects unchanged.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadFfi } from '../../../src/ffi.ts';
import { blockOffset, type BlockField } from '../../../src/engine/native/argument-block.ts';
import { microsoft, systemV } from '../../../src/engine/native/calling-convention.ts';
import { elfLibrary } from '../../../src/engine/native/elf.ts';
import { assemble, assembleLibrary } from '../../../src/engine/native/library.ts';
import { PANEL_COLUMNS, PANEL_ROWS } from '../../../src/engine/native/micro-kernel.ts';
import { whyNoMachineCode } from '../../fixtures/machine-code.ts';

const library = assembleLibrary('win32');
const view = new DataView(library.buffer);
const u16 = (at: number): number => view.getUint16(at, true);
const u32 = (at: number): number => view.getUint32(at, true);
const textAt = (at: number): string => Buffer.from(library.subarray(at, library.indexOf(0, at))).toString();

const header = u32(0x3c);
const optional = header + 24;
const sections = [0, 1].map((i) => {
  const at = optional + u16(header + 20) + 40 * i;
  return {
    name: textAt(at),
    size: u32(at + 8),
    address: u32(at + 12),
    start: u32(at + 20),
    flags: u32(at + 36),
  };
});
/** Offset in the file of an address relative to the image. */
function offsetOf(address: number): number {
  const section = sections.find(({ address: at, size }) => address >= at && address < at + size)!;
  return address - section.address + section.start;
}

test('is a 64-bit library of the PE format', () => {
  expect([textAt(0), textAt(header)]).toEqual(['MZ', 'PE']);
  expect([u16(header + 4), u16(optional)]).toEqual([0x8664, 0x20b]);
  expect(u16(header + 22) & 0x2000).not.toBe(0); // a DLL
  expect(u32(optional + 56)).toBe(0xa000); // the image ends with the last section, on a whole page
  for (const { start } of sections) expect(start % 512).toBe(0);
});

test('has no section that can be written, and executes nothing but its code', () => {
  const [executable, writable] = [0x2000_0000, 0x8000_0000];
  expect(sections.map(({ name, flags }) => [name, flags & executable, flags & writable])).toEqual([
    ['.text', executable, 0],
    ['.rdata', 0, 0],
  ]);
});

test('exports its functions in the order of their names, by which Windows searches them', () => {
  const exports = offsetOf(u32(optional + 112));
  const [functions, names, ordinals] = [28, 32, 36].map((at) => offsetOf(u32(exports + at)));
  const found = [0, 1].map((i) => [
    textAt(offsetOf(u32(names + 4 * i))),
    u32(functions + 4 * u16(ordinals + 2 * i)) - sections[0].address,
  ]);
  const { functions: assembled } = assemble(microsoft);
  expect(found).toEqual([
    ['macroKernel', assembled.macroKernel.start],
    ['processorCheck', assembled.processorCheck.start],
  ]);
});

test('says for each function what its start saved, so that the stack can be unwound', () => {
  const table = offsetOf(u32(optional + 112 + 8 * 3));
  const { functions } = assemble(microsoft);
  const unwound = [functions.processorCheck, functions.macroKernel].map((assembled, i) => {
    const [begin, end, information] = [0, 4, 8].map((field) => u32(table + 12 * i + field));
    expect([begin, end]).toEqual([assembled.start, assembled.end].map((at) => sections[0].address + at));
    expect(library[offsetOf(end - 1)]).toBe(0xc3); // ret
    const info = offsetOf(information);
    expect(library[info + 1]).toBe(assembled.prologue.length);
    const count = library[info + 2];
    const slots = Array.from({ length: count }, (_, slot) => u16(info + 4 + 2 * slot));
    const saved: string[] = [];
    let after = library[info + 1]; // the last operation comes first, and ends the prologue
    for (let slot = 0; slot < count; slot++) {
      const [next, operation, number] = [slots[slot] & 255, (slots[slot] >> 8) & 15, slots[slot] >> 12];
      expect(next).toBe(after);
      const code = [...library.subarray(0, offsetOf(begin) + next)];
      const push = [...(number < 8 ? [] : [0x41]), 0x50 | (number & 7)];
      if (operation === 0) {
        saved.push(`general ${number}`);
        expect(code.slice(-push.length)).toEqual(push);
        after = next - push.length;
      } else if (operation === 1) {
        const bytes = 8 * slots[++slot];
        saved.push(`${bytes} bytes`);
        expect(code.slice(-7)).toEqual([0x48, 0x81, 0xc4, 256 - bytes, 255, 255, 255]); // add rsp, −bytes
        after = next - 7;
      } else {
        const offset = 16 * slots[++slot];
        saved.push(`vector ${number} at ${offset}`);
        // movups [rsp + offset], xmm
        const where =
          offset === 0 ? [0x04, 0x24] : offset < 128 ? [0x44, 0x24, offset] : [0x84, 0x24, offset, 0, 0, 0];
        where[0] |= (number & 7) << 3;
        const store = [...(number < 8 ? [] : [0x44]), 0x0f, 0x11, ...where];
        expect(code.slice(-store.length)).toEqual(store);
        after = next - store.length;
      }
    }
    expect(after).toBe(0);
    return saved;
  });
  const vectors = Array.from({ length: 10 }, (_, i) => `vector ${15 - i} at ${16 * (9 - i)}`);
  const general = [15, 14, 13, 12, 7, 6, 5, 3].map((number) => `general ${number}`);
  expect(unwound).toEqual([['general 3'], [...vectors, '168 bytes', ...general]]);
});

/**
 * A function of System V's convention, with the addresses of a block and of memory for the results, that calls the function
 * after it by Microsoft's. It sets xmm6 to xmm15 to the vectors in the memory before and stores them after the call, then rsi
 * and rdi.
 */
function caller(): number[] {
  const vectors = [6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
  const move = (opcode: number): number[] =>
    vectors.flatMap((x, i) => {
      const displacement = i < 8 ? [0x46 | ((x & 7) << 3), 16 * i] : [0x86 | ((x & 7) << 3), 16 * i, 0, 0, 0];
      return [...(x < 8 ? [] : [0x44]), 0x0f, opcode, ...displacement];
    });
  const before = [
    0x56, // push rsi
    0x48, 0x83, 0xec, 0x20, // sub rsp, 32: shadow space
    ...move(0x10), // movups xmm6, [rsi] …
    0x48, 0x89, 0xf9, // mov rcx, rdi
  ]; // prettier-ignore
  const after = [
    0x48, 0x89, 0xf0, // mov rax, rsi
    0x48, 0x83, 0xc4, 0x20, // add rsp, 32
    0x5e, // pop rsi
    ...move(0x11), // movups [rsi], xmm6 …
    0x48, 0x89, 0x86, 0xa0, 0, 0, 0, // mov [rsi+160], rax
    0x48, 0x89, 0xbe, 0xa8, 0, 0, 0, // mov [rsi+168], rdi
    0xc3, // ret
  ]; // prettier-ignore
  const length = before.length + 5 + after.length;
  const padding = (64 - (length % 64)) % 64;
  const distance = after.length + padding;
  return [...before, 0xe8, distance, 0, 0, 0, ...after, ...Array.from({ length: padding }, () => 0x90)];
}

describe.skipIf(process.platform !== 'linux' || whyNoMachineCode() !== undefined)(
  'called as on Windows',
  () => {
    const [rows, columns, k] = [29, 71, 53];
    const panelsOf = (count: number, width: number): number => Math.ceil(count / width) * width * k;
    const [sizeA, sizeB] = [panelsOf(rows, 2 * PANEL_ROWS), panelsOf(columns, 2 * PANEL_COLUMNS)];
    const results = 256;

    /** The product of panels in memory by a library of code and the offset of a function, and what the function's caller recorded. */
    function multiply(code: Uint8Array, start: number) {
      const folder = mkdtempSync(join(tmpdir(), 'machine-code-'));
      const path = join(folder, 'library.so');
      writeFileSync(path, elfLibrary({ code, functions: { called: { start } } }));
      const ffi = loadFfi();
      const called = new ffi.DynamicLibrary(path).getFunction('called', {
        arguments: ['pointer', 'pointer'],
        return: 'void',
      });
      const memory = new ArrayBuffer(4 * (results + sizeA + sizeB + rows * columns + columns));
      const base = ffi.getRawPointer(new Uint8Array(memory));
      const block = new DataView(memory);
      block.setBigUint64(blockOffset('base'), base, true);
      const [a, b] = [4 * results, 4 * (results + sizeA)];
      const [c, bias] = [b + 4 * sizeB, b + 4 * (sizeB + rows * columns)];
      const fields: Partial<Record<BlockField, number>> = {
        a,
        b,
        c,
        bias,
        strideA: 4 * PANEL_ROWS * k,
        strideB: 4 * PANEL_COLUMNS * k,
        strideC: 4 * columns,
        rows,
        columns,
        k,
        accumulate: 0,
      };
      for (const [field, value] of Object.entries(fields))
        block.setUint32(blockOffset(field as BlockField), value, true);
      const numbers = new Float32Array(memory);
      for (let i = a / 4; i < numbers.length; i++) numbers[i] = Math.sin(i * i);
      const record = 128;
      for (let i = 0; i < 40; i++) numbers[record / 4 + i] = i + 0.5;
      called(base, base + BigInt(record));
      const registers = new BigUint64Array(memory, record + 160, 2);
      return {
        product: new Uint32Array(memory, c, rows * columns).slice(),
        vectors: [...numbers.subarray(record / 4, record / 4 + 40)],
        registers: [registers[0] - base, registers[1] - base],
      };
    }

    test('a product has the bits of the Linux library, and the registers that the caller keeps are unchanged', () => {
      const windows = assemble(microsoft);
      const start = caller();
      const code = Uint8Array.from([...start, ...windows.code.subarray(windows.functions.macroKernel.start)]);
      const linux = assemble(systemV);
      const expected = multiply(linux.code, linux.functions.macroKernel.start);
      const { product, vectors, registers } = multiply(code, 0);
      expect(product).toEqual(expected.product);
      expect(new Set(product).size).toBeGreaterThan(2000);
      expect(vectors).toEqual(Array.from({ length: 40 }, (_, i) => i + 0.5));
      expect(registers).toEqual([128n, 0n]); // rsi and rdi, as the caller had them
    });
  },
);
