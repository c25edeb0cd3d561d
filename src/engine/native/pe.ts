/**
 * The smallest shared library that Windows loads (Microsoft's "PE Format" and "x64 exception handling"): machine code, the names
 * of its functions, and how to unwind the stack in each, without relocations, imports or writable data.
 *
 *     MS-DOS header · PE header · section headers                             not executable
 *     code, on the next page                                                  loaded as readable and executable
 *     exports · names · unwind information, on the page after it              loaded as readable
 */
import { alignUp, ByteWriter } from './byte-writer.ts';
import type { Assembled, AssembledFunction, Prologue } from './calling-convention.ts';

/** Alignment of sections in memory and in the file. */
const PAGE = 4096;
const BLOCK = 512;
const DOS_HEADER = 64;
/** Signature and file header, then the optional header with its 16 directories. */
const FILE_HEADER = 24;
const OPTIONAL_HEADER = 240;
const SECTION_HEADER = 40;
const EXPORT_DIRECTORY = 40;
/** RUNTIME_FUNCTION: start, end and unwind information of a function. */
const RUNTIME_FUNCTION = 12;

const X86_64 = 0x8664;
/** Characteristics of the file. */
const [EXECUTABLE_IMAGE, LARGE_ADDRESS_AWARE, DLL] = [0x2, 0x20, 0x2000];
/** Characteristics of a DLL. */
const [HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT] = [0x20, 0x40, 0x100];
const WINDOWS_GUI = 2;
/** Indices of directories. */
const [EXPORT_TABLE, EXCEPTION_TABLE] = [0, 3];
/** Flags of sections: the kind of content, and access. */
const CODE = 0x20 | 0x2000_0000 | 0x4000_0000; // readable and executable
const INITIALIZED_DATA = 0x40 | 0x4000_0000; // readable
/** Operations in UNWIND_INFO. */
const UWOP = { push: 0, allocateLarge: 1, saveVector: 8 } as const;

/** @param name of the file, which its export directory repeats */
export function peLibrary({ code, functions }: Assembled, name: string): Uint8Array {
  const text = PAGE;
  const data = text + alignUp(code.length, PAGE);
  const { bytes, exports, unwinding } = dataSection(name, functions, { text, data });
  const headers = alignUp(DOS_HEADER + FILE_HEADER + OPTIONAL_HEADER + 2 * SECTION_HEADER, BLOCK);
  const dataStart = headers + alignUp(code.length, BLOCK);
  const file = new ByteWriter(dataStart + alignUp(bytes.length, BLOCK));
  file.bytes.set([0x4d, 0x5a]); // "MZ"
  file.uint32(0x3c, DOS_HEADER); // offset of the PE header
  writeHeader(file, {
    code: alignUp(code.length, BLOCK),
    data: alignUp(bytes.length, BLOCK),
    image: data + alignUp(bytes.length, PAGE),
    headers,
    directories: { [EXPORT_TABLE]: exports, [EXCEPTION_TABLE]: unwinding },
  });
  const sections = DOS_HEADER + FILE_HEADER + OPTIONAL_HEADER;
  writeSection(file, sections, { name: '.text', address: text, bytes: code, at: headers, flags: CODE });
  const next = sections + SECTION_HEADER;
  writeSection(file, next, { name: '.rdata', address: data, bytes, at: dataStart, flags: INITIALIZED_DATA });
  return file.bytes;
}

/** Address relative to the image, and size in bytes. */
interface Range {
  readonly address: number;
  readonly size: number;
}

interface Sizes {
  readonly code: number;
  readonly data: number;
  readonly image: number;
  readonly headers: number;
  /** By index. */
  readonly directories: Readonly<Record<number, Range>>;
}

function writeHeader(file: ByteWriter, { code, data, image, headers, directories }: Sizes): void {
  const at = DOS_HEADER;
  file.bytes.set([0x50, 0x45, 0, 0], at); // "PE"
  file.uint16(at + 4, X86_64);
  file.uint16(at + 6, 2); // sections
  file.uint16(at + 20, OPTIONAL_HEADER);
  file.uint16(at + 22, EXECUTABLE_IMAGE | LARGE_ADDRESS_AWARE | DLL);
  const optional = at + FILE_HEADER;
  file.uint16(optional, 0x20b); // PE32+, the format for 64 bits
  file.uint32(optional + 4, code);
  file.uint32(optional + 8, data);
  file.uint32(optional + 20, PAGE); // address of the code; there is no entry point
  file.uint64(optional + 24, 0x1_8000_0000); // the linker's default base address of a 64-bit DLL
  file.uint32(optional + 32, PAGE);
  file.uint32(optional + 36, BLOCK);
  file.uint16(optional + 40, 6); // version of the operating system
  file.uint16(optional + 48, 6); // and of its subsystem
  file.uint32(optional + 56, image);
  file.uint32(optional + 60, headers);
  file.uint16(optional + 68, WINDOWS_GUI); // ignored for a DLL
  file.uint16(optional + 70, HIGH_ENTROPY_VA | DYNAMIC_BASE | NX_COMPAT);
  file.uint32(optional + 108, 16); // directories
  for (const [index, { address, size }] of Object.entries(directories)) {
    file.uint32(optional + 112 + 8 * Number(index), address);
    file.uint32(optional + 116 + 8 * Number(index), size);
  }
}

interface Section {
  readonly name: string;
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Offset in the file. */
  readonly at: number;
  readonly flags: number;
}

/** Writes a section and, at `header`, its header. */
function writeSection(file: ByteWriter, header: number, { name, address, bytes, at, flags }: Section): void {
  file.bytes.set(new TextEncoder().encode(name), header);
  file.uint32(header + 8, bytes.length);
  file.uint32(header + 12, address);
  file.uint32(header + 16, alignUp(bytes.length, BLOCK));
  file.uint32(header + 20, at);
  file.uint32(header + 36, flags);
  file.bytes.set(bytes, at);
}

/**
 * The export directory, and the table of functions with their unwind information. All addresses are relative to the image.
 *
 * @param at addresses of the two sections
 */
function dataSection(
  library: string,
  functions: Readonly<Record<string, AssembledFunction>>,
  { text, data }: { readonly text: number; readonly data: number },
): { readonly bytes: Uint8Array; readonly exports: Range; readonly unwinding: Range } {
  const names = Object.keys(functions).sort(); // Windows finds names, and functions by address, by binary search
  const byPlace = Object.values(functions).sort((a, b) => a.start - b.start);
  const strings = new TextEncoder().encode([library, ...names].map((name) => `${name}\0`).join(''));
  const addresses = EXPORT_DIRECTORY;
  const namePointers = addresses + 4 * names.length;
  const ordinals = namePointers + 4 * names.length;
  const stringTable = ordinals + 2 * names.length;
  const table = alignUp(stringTable + strings.length, 4);
  const unwindInfos = byPlace.map(({ prologue }) => unwindInfo(prologue));
  let end = table + RUNTIME_FUNCTION * byPlace.length;
  const infoStarts = unwindInfos.map((info) => (end = alignUp(end, 4) + info.length) - info.length);

  const file = new ByteWriter(end);
  file.uint32(12, data + stringTable); // name of the library
  file.uint32(16, 1); // first ordinal
  file.uint32(20, names.length); // functions
  file.uint32(24, names.length); // names
  file.uint32(28, data + addresses);
  file.uint32(32, data + namePointers);
  file.uint32(36, data + ordinals);
  file.bytes.set(strings, stringTable);
  let nameStart = stringTable + library.length + 1;
  names.forEach((name, i) => {
    file.uint32(addresses + 4 * i, text + functions[name].start);
    file.uint32(namePointers + 4 * i, data + nameStart);
    file.uint16(ordinals + 2 * i, i);
    nameStart += name.length + 1;
  });
  byPlace.forEach((each, i) => {
    const entry = table + RUNTIME_FUNCTION * i;
    file.uint32(entry, text + each.start);
    file.uint32(entry + 4, text + each.end);
    file.uint32(entry + 8, data + infoStarts[i]);
    file.bytes.set(unwindInfos[i], infoStarts[i]);
  });
  return {
    bytes: file.bytes,
    exports: { address: data, size: table },
    unwinding: { address: data + table, size: RUNTIME_FUNCTION * byPlace.length },
  };
}

/** UNWIND_INFO: the prologue's operations, last to first, each with the offset of the end of its instruction. */
function unwindInfo({ pushed, vectors, length }: Prologue): Uint8Array {
  const slots: number[] = [];
  const add = (end: number, operation: number, info: number, ...more: number[]): void => {
    slots.push(end | ((operation | (info << 4)) << 8), ...more);
  };
  if (vectors !== undefined) {
    for (const [i, { vector, end }] of [...vectors.saved.entries()].reverse())
      add(end, UWOP.saveVector, vector, i); // offset in units of 16 bytes
    add(vectors.end, UWOP.allocateLarge, 0, vectors.bytes / 8);
  }
  for (const { register, end } of pushed.toReversed()) add(end, UWOP.push, register.number);
  const info = new ByteWriter(4 + 2 * alignUp(slots.length, 2));
  info.uint8(0, 1); // version, no flags
  info.uint8(1, length);
  info.uint8(2, slots.length);
  slots.forEach((slot, i) => info.uint16(4 + 2 * i, slot));
  return info.bytes;
}
