/** Reads a GGUF file, without using the writer's code. */
import { readFileSync } from 'node:fs';

export interface GgufFile {
  readonly metadata: Readonly<Record<string, unknown>>;
  /** By name; sizes as stored, the contiguous one first. */
  readonly tensors: ReadonlyMap<
    string,
    { readonly sizes: number[]; readonly type: number; readonly bytes: Buffer }
  >;
}

/** Bytes of `count` numbers, by ggml type. */
const sizeOf: Readonly<Record<number, (count: number) => number>> = {
  0: (count) => 4 * count,
  1: (count) => 2 * count,
  2: (count) => (count / 32) * 18,
  8: (count) => (count / 32) * 34,
  30: (count) => 2 * count,
};

export function readGguf(path: string): GgufFile {
  const file = readFileSync(path);
  let at = 4;
  const uint32 = (): number => file.readUInt32LE((at += 4) - 4);
  const uint64 = (): number => Number(file.readBigUInt64LE((at += 8) - 8));
  const text = (): string => {
    const length = uint64();
    return file.toString('utf8', at, (at += length));
  };
  const value = (type: number): unknown => {
    if (type === 4) return uint32();
    if (type === 5) return file.readInt32LE((at += 4) - 4);
    if (type === 6) return file.readFloatLE((at += 4) - 4);
    if (type === 7) return file[at++] === 1;
    if (type === 8) return text();
    if (type !== 9) throw new Error(`type ${type}`);
    const [of, length] = [uint32(), uint64()];
    return Array.from({ length }, () => value(of));
  };
  if (file.toString('latin1', 0, 4) !== 'GGUF' || uint32() !== 3) throw new Error('no GGUF 3');
  const [tensorCount, entryCount] = [uint64(), uint64()];
  const metadata = Object.fromEntries(Array.from({ length: entryCount }, () => [text(), value(uint32())]));
  const entries = Array.from({ length: tensorCount }, () => {
    const name = text();
    const sizes = Array.from({ length: uint32() }, uint64);
    return { name, sizes, type: uint32(), offset: uint64() };
  });
  const start = Math.ceil(at / 32) * 32;
  let end = start;
  const tensors = entries.map(({ name, sizes, type, offset }) => {
    if (start + offset !== Math.ceil(end / 32) * 32) throw new Error(`${name} is not where it should be`);
    const count = sizes.reduce((a, b) => a * b, 1);
    end = start + offset + sizeOf[type](count);
    return [name, { sizes, type, bytes: file.subarray(start + offset, end) }] as const;
  });
  if (file.length !== Math.ceil(end / 32) * 32) throw new Error('the file does not end with its last tensor');
  return { metadata, tensors: new Map(tensors) };
}

/** The numbers of a float32 tensor. */
export function floatsOf({ tensors }: GgufFile, name: string): Float32Array {
  const { type, bytes } = tensors.get(name)!;
  if (type !== 0) throw new Error(`${name} has type ${type}`);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}
