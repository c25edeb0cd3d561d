import { expect, test } from 'vitest';
import { Assembler } from '../../../src/engine/native/assembler.ts';
import {
  at,
  k,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  r8,
  r9,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
  zmm,
} from '../../../src/engine/native/operands.ts';

/** Bytes and what GNU objdump 2.40 reads in them: every instruction, low and high registers, each form of displacement. */
const instructions: readonly (readonly [bytes: string, text: string, emit: (asm: Assembler) => void])[] = [
  ['49 8b c7', 'mov rax,r15', (asm) => asm.mov(rax, r15)],
  ['4c 8b 07', 'mov r8,QWORD PTR [rdi]', (asm) => asm.mov(r8, at(rdi))],
  ['48 8b 4d 00', 'mov rcx,QWORD PTR [rbp+0x0]', (asm) => asm.mov(rcx, at(rbp))],
  ['49 8b 4d 08', 'mov rcx,QWORD PTR [r13+0x8]', (asm) => asm.mov(rcx, at(r13, 8))],
  ['48 8b 54 24 08', 'mov rdx,QWORD PTR [rsp+0x8]', (asm) => asm.mov(rdx, at(rsp, 8))],
  ['49 8b 14 24', 'mov rdx,QWORD PTR [r12]', (asm) => asm.mov(rdx, at(r12, 0))],
  ['49 8b 9c 24 00 02 00 00', 'mov rbx,QWORD PTR [r12+0x200]', (asm) => asm.mov(rbx, at(r12, 512))],
  ['48 8b 5e 80', 'mov rbx,QWORD PTR [rsi-0x80]', (asm) => asm.mov(rbx, at(rsi, -128))],
  ['48 8b 9e 7f ff ff ff', 'mov rbx,QWORD PTR [rsi-0x81]', (asm) => asm.mov(rbx, at(rsi, -129))],
  ['41 8b c1', 'mov eax,r9d', (asm) => asm.mov32(rax, r9)],
  ['44 8b 57 2c', 'mov r10d,DWORD PTR [rdi+0x2c]', (asm) => asm.mov32(r10, at(rdi, 44))],
  ['41 8b 76 7f', 'mov esi,DWORD PTR [r14+0x7f]', (asm) => asm.mov32(rsi, at(r14, 127))],
  ['48 c7 c0 ff ff ff ff', 'mov rax,0xffffffffffffffff', (asm) => asm.movImmediate(rax, -1)],
  ['49 c7 c4 20 00 00 00', 'mov r12,0x20', (asm) => asm.movImmediate(r12, 32)],
  ['49 0f 4c d9', 'cmovl rbx,r9', (asm) => asm.cmov('less', rbx, r9)],
  ['4c 03 f0', 'add r14,rax', (asm) => asm.add(r14, rax)],
  ['48 03 37', 'add rsi,QWORD PTR [rdi]', (asm) => asm.add(rsi, at(rdi))],
  ['49 81 c1 e0 ff ff ff', 'add r9,0xffffffffffffffe0', (asm) => asm.addImmediate(r9, -32)],
  ['48 69 c1 0c 00 00 00', 'imul rax,rcx,0xc', (asm) => asm.imulImmediate(rax, rcx, 12)],
  ['4d 69 ff fd ff ff ff', 'imul r15,r15,0xfffffffffffffffd', (asm) => asm.imulImmediate(r15, r15, -3)],
  ['48 81 e0 03 00 00 00', 'and rax,0x3', (asm) => asm.andImmediate(rax, 3)],
  ['49 81 e0 e6 00 00 00', 'and r8,0xe6', (asm) => asm.andImmediate(r8, 230)],
  ['48 c1 e8 10', 'shr rax,0x10', (asm) => asm.shr(rax, 16)],
  ['49 c1 eb 02', 'shr r11,0x2', (asm) => asm.shr(r11, 2)],
  ['4c 3b cb', 'cmp r9,rbx', (asm) => asm.cmp(r9, rbx)],
  ['49 81 fc 0c 00 00 00', 'cmp r12,0xc', (asm) => asm.cmpImmediate(r12, 12)],
  ['4d 85 c0', 'test r8,r8', (asm) => asm.test(r8, r8)],
  ['4c 85 e8', 'test rax,r13', (asm) => asm.test(rax, r13)],
  ['c4 e2 e0 f5 c0', 'bzhi rax,rax,rbx', (asm) => asm.bzhi(rax, rax, rbx)],
  ['c4 42 a0 f5 ca', 'bzhi r9,r10,r11', (asm) => asm.bzhi(r9, r10, r11)],
  ['53', 'push rbx', (asm) => asm.push(rbx)],
  ['41 57', 'push r15', (asm) => asm.push(r15)],
  ['5d', 'pop rbp', (asm) => asm.pop(rbp)],
  ['41 5c', 'pop r12', (asm) => asm.pop(r12)],
  ['c3', 'ret', (asm) => asm.ret()],
  ['0f a2', 'cpuid', (asm) => asm.cpuid()],
  ['0f 01 d0', 'xgetbv', (asm) => asm.xgetbv()],
  ['0f 18 48 40', 'prefetcht0 BYTE PTR [rax+0x40]', (asm) => asm.prefetcht0(at(rax, 64))],
  ['41 0f 18 8b 00 04 00 00', 'prefetcht0 BYTE PTR [r11+0x400]', (asm) => asm.prefetcht0(at(r11, 1024))],
  ['c4 e1 78 92 c8', 'kmovw k1,eax', (asm) => asm.kmovw(k(1), rax)],
  ['c4 c1 78 92 f8', 'kmovw k7,r8d', (asm) => asm.kmovw(k(7), r8)],
  ['62 f1 7c 48 10 00', 'vmovups zmm0,ZMMWORD PTR [rax]', (asm) => asm.vmovups(zmm(0), at(rax))],
  [
    '62 61 7c 48 10 7d 01',
    'vmovups zmm31,ZMMWORD PTR [rbp+0x40]',
    (asm) => asm.vmovups(zmm(31), at(rbp, 64)),
  ],
  [
    '62 41 7c 48 10 73 7f',
    'vmovups zmm30,ZMMWORD PTR [r11+0x1fc0]',
    (asm) => asm.vmovups(zmm(30), at(r11, 8128)),
  ],
  [
    '62 51 7c 48 10 84 24 00 20 00 00',
    'vmovups zmm8,ZMMWORD PTR [r12+0x2000]',
    (asm) => asm.vmovups(zmm(8), at(r12, 8192)),
  ],
  [
    '62 c1 7c 48 10 bd 04 00 00 00',
    'vmovups zmm23,ZMMWORD PTR [r13+0x4]',
    (asm) => asm.vmovups(zmm(23), at(r13, 4)),
  ],
  [
    '62 41 7c c9 10 78 ff',
    'vmovups zmm31{k1}{z},ZMMWORD PTR [r8-0x40]',
    (asm) => asm.vmovups(zmm(31), at(r8, -64), { mask: k(1), zeroing: true }),
  ],
  [
    '62 71 7c 4a 10 7c 24 01',
    'vmovups zmm15{k2},ZMMWORD PTR [rsp+0x40]',
    (asm) => asm.vmovups(zmm(15), at(rsp, 64), { mask: k(2) }),
  ],
  [
    '62 f1 7c 49 11 00',
    'vmovups ZMMWORD PTR [rax]{k1},zmm0',
    (asm) => asm.vmovupsStore(at(rax), zmm(0), { mask: k(1) }),
  ],
  [
    '62 e1 7c 4a 11 78 01',
    'vmovups ZMMWORD PTR [rax+0x40]{k2},zmm23',
    (asm) => asm.vmovupsStore(at(rax, 64), zmm(23), { mask: k(2) }),
  ],
  [
    '62 c1 7c 48 11 41 02',
    'vmovups ZMMWORD PTR [r9+0x80],zmm16',
    (asm) => asm.vmovupsStore(at(r9, 128), zmm(16)),
  ],
  ['0f 10 74 24 10', 'movups xmm6,XMMWORD PTR [rsp+0x10]', (asm) => asm.movups(zmm(6), at(rsp, 16))],
  [
    '44 0f 11 bc 24 90 00 00 00',
    'movups XMMWORD PTR [rsp+0x90],xmm15',
    (asm) => asm.movupsStore(at(rsp, 144), zmm(15)),
  ],
  ['62 62 7d 48 18 03', 'vbroadcastss zmm24,DWORD PTR [rbx]', (asm) => asm.vbroadcastss(zmm(24), at(rbx))],
  [
    '62 42 7d 48 18 6f 7f',
    'vbroadcastss zmm29,DWORD PTR [r15+0x1fc]',
    (asm) => asm.vbroadcastss(zmm(29), at(r15, 508)),
  ],
  [
    '62 f2 7d 48 18 bb 00 02 00 00',
    'vbroadcastss zmm7,DWORD PTR [rbx+0x200]',
    (asm) => asm.vbroadcastss(zmm(7), at(rbx, 512)),
  ],
  [
    '62 c2 7d 48 18 87 06 00 00 00',
    'vbroadcastss zmm16,DWORD PTR [r15+0x6]',
    (asm) => asm.vbroadcastss(zmm(16), at(r15, 6)),
  ],
  ['62 92 3d 40 b8 c7', 'vfmadd231ps zmm0,zmm24,zmm31', (asm) => asm.vfmadd231ps(zmm(0), zmm(24), zmm(31))],
  ['62 82 15 40 b8 fe', 'vfmadd231ps zmm23,zmm29,zmm30', (asm) => asm.vfmadd231ps(zmm(23), zmm(29), zmm(30))],
  ['62 32 45 48 b8 c0', 'vfmadd231ps zmm8,zmm7,zmm16', (asm) => asm.vfmadd231ps(zmm(8), zmm(7), zmm(16))],
  ['62 91 6c 48 58 cf', 'vaddps zmm1,zmm2,zmm31', (asm) => asm.vaddps(zmm(1), zmm(2), zmm(31))],
  [
    '62 e1 4c c2 58 70 01',
    'vaddps zmm22{k2}{z},zmm22,ZMMWORD PTR [rax+0x40]',
    (asm) => asm.vaddps(zmm(22), zmm(22), at(rax, 64), { mask: k(2), zeroing: true }),
  ],
  ['62 f1 7d 48 ef c0', 'vpxord zmm0,zmm0,zmm0', (asm) => asm.vpxord(zmm(0), zmm(0), zmm(0))],
  ['62 a1 45 40 ef ff', 'vpxord zmm23,zmm23,zmm23', (asm) => asm.vpxord(zmm(23), zmm(23), zmm(23))],
  ['c5 f8 77', 'vzeroupper', (asm) => asm.vzeroupper()],
];

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

test.each(instructions)('%s is %s', (bytes, _text, emit) => {
  const asm = new Assembler();
  emit(asm);
  expect(hex(asm.finish())).toBe(bytes);
});

test('jumps lead forward and back, by a distance from the end of the jump', () => {
  const asm = new Assembler();
  const end = asm.label();
  const start = asm.here();
  asm.jumpIf('less', end);
  asm.jmp(start);
  asm.place(end);
  asm.ret();
  expect(hex(asm.finish())).toBe('0f 8c 05 00 00 00 e9 f5 ff ff ff c3');
});

test('a jump to a label without a place, and a label with two, are errors', () => {
  const asm = new Assembler();
  const label = asm.label();
  asm.jmp(label);
  expect(() => asm.finish()).toThrow('not been placed');
  asm.place(label);
  expect(() => asm.place(label)).toThrow('placed before');
});
