/**
 * The smallest shared library that Linux loads (System V ABI, AMD64 supplement): machine code and the names of its functions,
 * without sections, relocations or writable data of its own.
 *
 *     ELF header · program headers · hash table · symbols · names · code      loaded as readable and executable
 *     dynamic section, on the next page                                       loaded as readable and writable
 */
import { alignUp, ByteWriter } from './byte-writer.ts';
import type { Assembled, AssembledFunction } from './calling-convention.ts';

const PAGE = 4096;
const HEADER = 64;
const PROGRAM_HEADER = 56;
const SYMBOL = 24;
const DYNAMIC_ENTRY = 16;

/** Types of program headers. */
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
/** Without it, the loader makes the stack of the whole process executable. */
const PT_GNU_STACK = 0x6474e551;
const EXECUTABLE = 1;
const WRITABLE = 2;
const READABLE = 4;

/** Tags of the dynamic section. */
const DT = { HASH: 4, STRTAB: 5, SYMTAB: 6, STRSZ: 10, SYMENT: 11, NULL: 0 } as const;

interface Linked extends Pick<Assembled, 'code'> {
  /** By name. */
  readonly functions: Readonly<Record<string, Pick<AssembledFunction, 'start'>>>;
}

export function elfLibrary({ code, functions }: Linked): Uint8Array {
  const names = Object.keys(functions);
  const strings = new TextEncoder().encode(`\0${names.map((name) => `${name}\0`).join('')}`);
  const headers = 4;
  // Addresses are relative to the load address and equal the file offsets.
  const hash = HEADER + PROGRAM_HEADER * headers;
  const symbols = alignUp(hash + 4 * (3 + names.length + 1), 8);
  const stringTable = symbols + SYMBOL * (names.length + 1);
  const text = alignUp(stringTable + strings.length, 64);
  const dynamic = alignUp(text + code.length, PAGE);
  const dynamicEntries = [
    [DT.HASH, hash],
    [DT.STRTAB, stringTable],
    [DT.SYMTAB, symbols],
    [DT.STRSZ, strings.length],
    [DT.SYMENT, SYMBOL],
    [DT.NULL, 0],
  ];
  const dynamicBytes = DYNAMIC_ENTRY * dynamicEntries.length;

  const file = new ByteWriter(dynamic + dynamicBytes);
  writeHeader(file, headers);
  const all = READABLE | WRITABLE;
  writeProgramHeaders(file, [
    { type: PT_LOAD, flags: READABLE | EXECUTABLE, at: 0, bytes: text + code.length, align: PAGE },
    { type: PT_LOAD, flags: all, at: dynamic, bytes: dynamicBytes, align: PAGE },
    { type: PT_DYNAMIC, flags: all, at: dynamic, bytes: dynamicBytes, align: 8 },
    { type: PT_GNU_STACK, flags: all, at: 0, bytes: 0, align: 16 },
  ]);
  writeHashTable(file, hash, names.length);
  names.forEach((name, i) => {
    const symbol = symbols + SYMBOL * (i + 1);
    file.uint32(symbol, nameOffset(names, i));
    file.uint8(symbol + 4, 0x12); // a global function
    file.uint16(symbol + 6, 1); // any section index but 0, which marks an undefined symbol
    file.uint64(symbol + 8, text + functions[name].start);
  });
  file.bytes.set(strings, stringTable);
  file.bytes.set(code, text);
  dynamicEntries.forEach(([tag, value], i) => {
    file.uint64(dynamic + DYNAMIC_ENTRY * i, tag);
    file.uint64(dynamic + DYNAMIC_ENTRY * i + 8, value);
  });
  return file.bytes;
}

/** Offset of name `i` in the string table, which begins with an empty name. Names are null-terminated. */
const nameOffset = (names: readonly string[], i: number): number =>
  names.slice(0, i).reduce((sum, name) => sum + name.length + 1, 1);

function writeHeader(file: ByteWriter, programHeaders: number): void {
  // 7F "ELF", 64 bits, little-endian, version 1, System V
  file.bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  file.uint16(16, 3); // a shared library
  file.uint16(18, 62); // for x86-64
  file.uint32(20, 1); // version
  file.uint64(32, HEADER); // offset of the program headers
  file.uint16(52, HEADER);
  file.uint16(54, PROGRAM_HEADER);
  file.uint16(56, programHeaders);
  file.uint16(58, 64); // size of a section header, although there are none
}

interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  readonly at: number;
  readonly bytes: number;
  readonly align: number;
}

function writeProgramHeaders(file: ByteWriter, headers: readonly ProgramHeader[]): void {
  headers.forEach(({ type, flags, at, bytes, align }, i) => {
    const header = HEADER + PROGRAM_HEADER * i;
    file.uint32(header, type);
    file.uint32(header + 4, flags);
    file.uint64(header + 8, at); // file offset
    file.uint64(header + 16, at); // address
    file.uint64(header + 24, at); // physical address, unused
    file.uint64(header + 32, bytes); // size in the file
    file.uint64(header + 40, bytes); // size in memory
    file.uint64(header + 48, align);
  });
}

/** A hash table whose single bucket chains all symbols. Symbol 0 is the undefined one that every symbol table begins with. */
function writeHashTable(file: ByteWriter, at: number, count: number): void {
  file.uint32(at, 1); // buckets
  file.uint32(at + 4, count + 1); // symbols
  file.uint32(at + 8, 1); // the bucket's first symbol
  for (let i = 1; i <= count; i++) file.uint32(at + 12 + 4 * i, i < count ? i + 1 : 0); // the one after symbol i
}
