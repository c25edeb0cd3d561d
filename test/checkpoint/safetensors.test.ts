import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeFileAtomic } from '../../src/write-file.ts';
import { firstNonFinite } from '../../src/checkpoint/safetensors-dtypes.ts';
import { SafetensorsError, type SafetensorsProblem } from '../../src/checkpoint/safetensors-header.ts';
import { openSafetensors, safetensorsPieces } from '../../src/checkpoint/safetensors.ts';
import { failure } from '../fixtures/failure.ts';
import type { NamedTensor, TensorTarget } from '../../src/model/tensor.ts';

const folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
const path = join(folder, 'x.safetensors');
const tensors = [
  { name: 'b', shape: [1, 5], data: Float32Array.of(1, -2, 3.5, 1e-30, 0) },
  { name: 'a', shape: [], data: Float32Array.of(7) },
  { name: 'empty', shape: [0, 4], data: new Float32Array(0) },
];

/** A file from a header, as it is, and data. */
function raw(header: string, data: Uint8Array = new Uint8Array(0)): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]));
}

/** A tensor of one axis to load to. */
const vector = (data: Float32Array): NamedTensor => ({ name: 'into', shape: [data.length], data });

function readAll(): Record<string, number[]> {
  const file = openSafetensors(path);
  try {
    file.load(new Map());
    return Object.fromEntries([...file.tensors.keys()].map((name) => [name, [...file.read(name)]]));
  } finally {
    file.close();
  }
}

test('tensors round-trip', () => {
  writeFileAtomic(path, safetensorsPieces(tensors, { step: '5', format: 'pt' }));
  expect(readAll()).toEqual({ a: [7], b: [...tensors[0].data], empty: [] });
  const file = openSafetensors(path);
  expect(file.metadata).toMatchObject({ step: '5', format: 'pt' });
  expect(file.dataStart % 8).toBe(0);
  expect(file.tensors.get('b')?.shape).toEqual([1, 5]);
  expect(() => file.read('nothing')).toThrow(failure('file-not-found', '"nothing"'));
  file.close();
});

test('half precision converts exactly to float32', () => {
  const bytes = (array: { buffer: ArrayBufferLike }) => new Uint8Array(array.buffer);
  const cases: [string, Uint8Array, number[]][] = [
    ['BF16', bytes(Uint16Array.of(0x3f80, 0xc000, 0x0001)), [1, -2, 2 ** -133]],
    [
      'F16',
      bytes(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff)),
      [1, -2, 65504, 2 ** -24, 1023 * 2 ** -24],
    ],
    ['F64', bytes(Float64Array.of(0.1)), [Math.fround(0.1)]],
  ];
  for (const [dtype, data, expected] of cases) {
    raw(`{"x":{"dtype":"${dtype}","shape":[${expected.length}],"data_offsets":[0,${data.length}]}}`, data);
    expect(readAll()['x']).toEqual(expected);
    const file = openSafetensors(path);
    const into = new Float32Array(expected.length);
    file.load(new Map([['x', vector(into)]]));
    expect([...into]).toEqual(expected);
    file.close();
  }
});

test('a tensor that the file lacks is named, with a way to list the others', () => {
  writeFileAtomic(path, safetensorsPieces(tensors, {}));
  const file = openSafetensors(path);
  expect(() => file.read('c')).toThrow(failure('file-not-found', path, '"c"'));
  expect(() => file.read('c')).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('tensors') as string }),
  );
  file.close();
});

test('tensors are read into given memory, shared or not', () => {
  writeFileAtomic(path, safetensorsPieces(tensors, {}));
  const memory = new Float32Array(new SharedArrayBuffer(32), 4, 5);
  const file = openSafetensors(path);
  file.load(new Map([['b', vector(memory)]]));
  expect([...memory]).toEqual([...tensors[0].data]);
  expect(() => file.load(new Map([['b', vector(new Float32Array(4))]]))).toThrow(/\b4\b/);
  file.close();
});

test('loading reports the share that has been read', () => {
  writeFileAtomic(path, safetensorsPieces(tensors, {}));
  const shares: number[] = [];
  const file = openSafetensors(path);
  file.load(new Map(), { loaded: (done) => shares.push(done) });
  file.close();
  expect(shares).toEqual([4 / 24, 1]);
});

describe('a damaged file is refused, and its problem is named', () => {
  const entry = (offsets: string, shape = '[1]', dtype = 'F32') =>
    `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
  const four = new Uint8Array(4);
  const cases: [SafetensorsProblem, () => void][] = [
    ['too short', () => writeFileSync(path, '1234567')],
    ['too short', () => raw(`{"x":${entry('[0,4]')}}`)],
    ['header too large', () => writeFileSync(path, Buffer.from('ffffffffffffff7f', 'hex'))],
    ['header beyond the end', () => writeFileSync(path, Buffer.from('0900000000000000', 'hex'))],
    [
      'header is not UTF-8',
      () =>
        writeFileSync(
          path,
          Buffer.concat([Buffer.from('0400000000000000', 'hex'), Buffer.from([0x7b, 0xff, 0x22, 0x7d])]),
        ),
    ],
    ['header is not JSON', () => raw('{"x":')],
    ['header is not JSON', () => raw('[]')],
    ['header is not JSON', () => raw(' {}')],
    ['header is not JSON', () => raw('{"x":'.repeat(1e6))],
    ['header is not JSON', () => raw(`{"x":${'['.repeat(101)}${']'.repeat(101)}}`)],
    ['header is not JSON', () => raw(`{"x":${entry('[0,4]')},"x":${entry('[0,4]')}}`, four)],
    [
      'header is not JSON',
      () => raw(`{"x":${entry('[0,4]')},"\\u0078"${' '.repeat(99)}:${entry('[0,4]')}}`, four),
    ],
    ['bad metadata', () => raw('{"__metadata__":{"step":5}}')],
    ['bad metadata', () => raw('{"__metadata__":[]}')],
    ['bad entry', () => raw('{"x":5}')],
    ['bad entry', () => raw(`{"x":${entry('[0,4]', '[-1]')}}`, four)],
    ['bad entry', () => raw(`{"x":${entry('[0,4]', '[1.5]')}}`, four)],
    ['bad entry', () => raw(`{"x":${entry('[4,0]')}}`, four)],
    ['bad entry', () => raw(`{"x":${entry('[0]')}}`, four)],
    ['unknown dtype', () => raw(`{"x":${entry('[0,4]', '[1]', 'F31')}}`, four)],
    ['unknown dtype', () => raw(`{"x":${entry('[0,4]', '[1]', 'toString')}}`, four)],
    ['unsupported dtype', () => raw(`{"x":${entry('[0,1]', '[1]', 'F8_E4M3')}}`, new Uint8Array(1))],
    ['size does not fit the shape', () => raw(`{"x":${entry('[0,4]', '[2]')}}`, four)],
    ['size does not fit the shape', () => raw(`{"x":${entry('[0,4]', '[1e10,1e10]')}}`, four)],
    ['hole or overlap', () => raw(`{"x":${entry('[4,8]')}}`, new Uint8Array(8))],
    ['hole or overlap', () => raw(`{"x":${entry('[0,4]')},"y":${entry('[0,4]')}}`, four)],
    ['trailing bytes', () => raw(`{"x":${entry('[0,4]')}}`, new Uint8Array(5))],
    ['newer version', () => raw('{"__metadata__":{"gpt_trainer_format":"2","gpt_trainer_crc32":"0"}}')],
    ['checksum missing', () => raw('{"__metadata__":{"gpt_trainer_format":"1"}}')],
    ['checksum missing', () => raw('{"__metadata__":{"gpt_trainer_crc32":"00000000"}}')],
    ['checksum missing', () => raw('{"__metadata__":{"gpt_trainer_format":"","gpt_trainer_crc32":"0"}}')],
    [
      'checksum differs',
      () => raw('{"__metadata__":{"gpt_trainer_format":"1","gpt_trainer_crc32":"00000000"}}'),
    ],
  ];
  test.each(cases.map(([problem, make], i) => ({ problem, make, i })))(
    '$problem ($i)',
    ({ problem, make }) => {
      make();
      let caught: unknown;
      try {
        readAll();
      } catch (error) {
        caught = error;
      }
      expect(caught).toBeInstanceOf(SafetensorsError);
      expect((caught as SafetensorsError).problem).toBe(problem);
      expect((caught as SafetensorsError).code).toBe(
        problem === 'newer version' ? 'newer-version' : 'damaged-file',
      );
      expect((caught as SafetensorsError).message).toContain(path);
    },
  );

  test('an integer tensor is refused when it is read', () => {
    raw(`{"x":${entry('[0,8]', '[1]', 'I64')}}`, new Uint8Array(8));
    expect(readAll).toThrow(failure('unsupported-format', 'I64'));
  });

  test('a changed bit, exchanged names and a changed step are detected by the checksum', () => {
    const shapes = [
      { ...tensors[0], name: 'x' },
      { ...tensors[0], name: 'y', data: new Float32Array(5) },
    ];
    for (const change of [
      (bytes: Buffer) => void (bytes[bytes.length - 3] ^= 16),
      (bytes: Buffer) =>
        void (bytes.write('"y"', bytes.indexOf('"x":{')), bytes.write('"x"', bytes.lastIndexOf('"y":{'))),
      (bytes: Buffer) => void bytes.write('6', bytes.indexOf('"step":"5"') + 8),
    ]) {
      writeFileAtomic(path, safetensorsPieces(shapes, { step: '5' }));
      const bytes = readFileSync(path);
      change(bytes);
      writeFileSync(path, bytes);
      expect(readAll).toThrow(failure('damaged-file', path, 'checksum'));
    }
  });

  const halves = (...bits: number[]): Uint8Array => new Uint8Array(Uint16Array.from(bits).buffer);
  test.each<[dtype: string, data: Uint8Array, unknown]>([
    [
      'F32',
      new Uint8Array(Float32Array.of(1, NaN).buffer),
      failure('damaged-file', path, '"x"', 'NaN', 'element 1'),
    ],
    [
      'F64',
      new Uint8Array(Float64Array.of(1e39, 1).buffer),
      failure('damaged-file', path, '"x"', 'Infinity', 'element 0'),
    ],
    ['F16', halves(0x3c00, 0xfc00), failure('damaged-file', path, '"x"', '-Infinity', 'element 1')],
    ['BF16', halves(0x7f80, 0x3f80), failure('damaged-file', path, '"x"', 'Infinity', 'element 0')],
  ])('a number that float32 cannot represent is refused on loading: %s', (dtype, data, expected) => {
    raw(`{"x":${entry(`[0,${data.length}]`, '[2]', dtype)}}`, data);
    const file = openSafetensors(path);
    expect(() => file.load(new Map([['x', vector(new Float32Array(2))]]))).toThrow(expected);
    file.load(new Map()); // tensors that nobody wants are not looked at
    file.close();
  });

  test('the first NaN or infinity is found at any position; the largest and smallest finite numbers pass', () => {
    const finite = [0, -0, 1e-45, -1e-45, 3.4028234663852886e38, -3.4028234663852886e38];
    const values = Float32Array.from({ length: 40_003 }, (_, i) => finite[i % finite.length]);
    expect(firstNonFinite(values)).toBe(-1);
    expect(firstNonFinite(values.subarray(0, 0))).toBe(-1);
    for (const bad of [NaN, Infinity, -Infinity])
      for (const index of [40_002, 40_000, 32_768, 16_384, 16_383, 5, 3, 2, 1, 0]) {
        const damaged = values.slice();
        damaged[index] = bad;
        damaged[40_001] = NaN;
        expect(firstNonFinite(damaged)).toBe(Math.min(index, 40_001));
        expect(firstNonFinite(damaged.subarray(1, 40_001))).toBe(
          index > 0 && index < 40_001 ? index - 1 : -1,
        );
      }
  });

  test('a NaN in a later chunk of a large tensor is reported with its index in the tensor, on host and device', () => {
    const data = new Float32Array(200_000);
    data[150_001] = NaN;
    writeFileAtomic(path, safetensorsPieces([{ name: 'x', shape: [200_000], data }], {}));
    const file = openSafetensors(path);
    const searched: [start: number, length: number][] = [];
    const read = new Float32Array(200_000);
    const target = (found?: (start: number, length: number) => number): TensorTarget => ({
      name: 'x',
      shape: [200_000],
      write: (numbers, start) => read.set(numbers, start),
      firstNonFinite: found && ((start, length) => (searched.push([start, length]), found(start, length))),
    });
    const search = (start: number, length: number): number =>
      firstNonFinite(read.subarray(start, start + length));
    for (const into of [vector(read), target(), target(search)])
      expect(() => file.load(new Map([['x', into]]))).toThrow(
        failure('damaged-file', path, '"x"', 'NaN', '150001'),
      );
    expect(searched[0]).toEqual([0, searched[1][0]]); // chunk after chunk, once it has been written
    searched.length = 0;
    file.load(new Map([['x', target(search)]]), { allowNonFinite: true });
    expect(searched).toEqual([]);
    expect(read).toEqual(data);
    file.close();
  });

  test('damage that makes a number infinite is reported as damage', () => {
    writeFileAtomic(path, safetensorsPieces([{ name: 'x', shape: [1], data: Float32Array.of(1.5) }], {}));
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 0x40; // 1.5 becomes NaN
    writeFileSync(path, bytes);
    const file = openSafetensors(path);
    expect(() => file.load(new Map([['x', vector(new Float32Array(1))]]))).toThrow(
      failure('damaged-file', path, 'checksum'),
    );
    file.close();
  });

  test('a folder and a device are refused', () => {
    expect(() => openSafetensors(folder)).toThrow(failure('wrong-file-kind', folder));
    if (existsSync('/dev/zero'))
      expect(() => openSafetensors('/dev/zero')).toThrow(failure('wrong-file-kind', '/dev/zero'));
  });
});
