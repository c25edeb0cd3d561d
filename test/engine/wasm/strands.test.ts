import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { array, assert, asyncProperty, nat } from 'fast-check';
import type { Device } from '../../../src/engine/device.ts';
import type { Buffer as Range, Instruction } from '../../../src/engine/instruction.ts';
import { EngineMemoryError } from '../../../src/engine/engine-memory-error.ts';
import { createWasmBackend } from '../../../src/engine/wasm.ts';
import { ActiveThreads } from '../../../src/engine/wasm/active-threads.ts';
import { encode } from '../../../src/engine/wasm/encode.ts';
import { STRANDS } from '../../../src/engine/wasm/address-space.ts';
import { withoutStrands } from '../../fixtures/strands.ts';

/** Rows and columns of the matrices: several chunks and blocks of GEMM. */
const [N, K] = [70, 500];
/** Elements of a strand's memory. */
const ROOM = 2 * N * K + 4 * N * N;
const STRAND_COUNT = 5;
const buffer = (offset: number, length: number) => ({ offset, length });
/** Two groups of strands, then two results. */
const sum = 2 * STRAND_COUNT * ROOM;

const inputOf = (index: number) => buffer(index * ROOM, N * K);

/** x·xᵀ, its square, the square with rows of length 1, and their sum with x·xᵀ, in a strand's memory. */
function strandOf(index: number): Instruction[] {
  const x = inputOf(index);
  const [gram, square, rows, out] = [0, 1, 2, 3].map((i) =>
    buffer(index * ROOM + 2 * N * K + i * N * N, N * N),
  );
  const products = { transA: 0, transB: 0 };
  return (
    [
      { kernel: 'gemmSymmetric', args: { a: x, b: x, c: gram, M: N, K, transA: 0, transB: 1 } },
      {
        kernel: 'gemm',
        args: { a: gram, b: gram, bias: null, c: square, M: N, N, K: N, ...products },
      },
      { kernel: 'normalizeRows', args: { x: square, y: rows, N, C: N } },
      { kernel: 'add', args: { a: gram, b: rows, y: out, n: N * N } },
    ] as const
  ).map((instruction) => ({ ...instruction, label: `strand ${index}`, strand: index }));
}

const outOf = (index: number) => buffer(index * ROOM + 2 * N * K + 3 * N * N, N * N);
const last = buffer(sum, N * N);
const group = (first: number): Instruction[] =>
  Array.from({ length: STRAND_COUNT }, (_, i) => strandOf(first + i)).flat();
const add = (a: Range, b: Range, y: Range): Instruction => ({
  kernel: 'add',
  label: '',
  args: { a, b, y, n: y.length },
});
/** An instruction whose result a strand reads, strands, two instructions that read what several have written, and strands that read theirs. */
const program: Instruction[] = [
  add(inputOf(1), inputOf(2), inputOf(0)),
  ...group(0),
  add(outOf(0), outOf(4), last),
  add(last, outOf(2), { ...inputOf(7), length: N * N }),
  ...group(STRAND_COUNT),
];
const [FIRST, SECOND] = [1, 1 + 4 * STRAND_COUNT + 2];
const END = sum + N * N;

describe('a program with strands', () => {
  const devices: Device[] = [];
  let expected: Buffer;

  /** All memory after the program has run from numbers that are always the same, in ranges that end at `cuts`. */
  async function memoryAfter(
    device: Device,
    instructions: readonly Instruction[],
    cuts: readonly number[] = [],
  ) {
    device.reserve(END);
    device.write(
      0,
      Float32Array.from({ length: END }, (_, i) => Math.sin(i)),
    );
    const loaded = device.load(instructions);
    const bounds = [0, ...cuts.toSorted((a, b) => a - b), instructions.length];
    for (let i = 1; i < bounds.length; i++) loaded.submit(bounds[i - 1], bounds[i]);
    return Buffer.from((await device.read(0, new Float32Array(END))).buffer);
  }

  beforeAll(async () => {
    for (const threads of [1, 2, 3, 7])
      devices.push(await createWasmBackend({ threads, activeThreads: () => threads }));
    expected = await memoryAfter(devices[0], withoutStrands(program));
  });
  afterAll(() => Promise.all(devices.map((device) => device.close())));

  test('computes the same bits as without them, on more or fewer threads than strands', async () => {
    for (const device of devices)
      for (let repeat = 0; repeat < 20; repeat++)
        expect((await memoryAfter(device, program)).equals(expected)).toBe(true);
  });

  test('computes the same bits if it is run in ranges that begin or end within strands', async () => {
    await assert(
      asyncProperty(array(nat(program.length), { maxLength: 4 }), async (cuts) => {
        for (const device of devices)
          expect((await memoryAfter(device, program, cuts)).equals(expected)).toBe(true);
      }),
      { numRuns: 25, seed: 20261130 },
    );
  });

  test.each([1, 3])('counts every instruction once when it is profiled, on %i threads', async (threads) => {
    const device = await createWasmBackend({ threads, profile: true, activeThreads: () => threads });
    device.reserve(END);
    const loaded = device.load(program);
    const start = performance.now();
    for (let i = 0; i < 200; i++) loaded.submit();
    loaded.submit(6, 15); // begins and ends within strands
    const wall = (performance.now() - start) / 1000;
    const timings = await loaded.timings!();
    expect(timings.map(({ runs }) => runs)).toEqual(program.map((_, i) => (i >= 6 && i < 15 ? 201 : 200)));
    const total = timings.reduce((all, { seconds }) => all + seconds, 0);
    expect(total).toBeGreaterThan(wall / 3);
    expect(total).toBeLessThanOrEqual(wall * 1.5); // a thread may wake from a barrier when the others are further
    await device.close();
  });
});

test('a matrix larger than the caches times few rows is the same in strands', async () => {
  const [M, large, depth] = [2, 640, 512]; // the sums of its slices are in scratch memory that threads share
  const [sizeOfB, room] = [depth * large, depth * large + M * (depth + large)];
  const products = [0, 1, 2, 3].map((strand): Instruction => {
    const b = buffer(strand * room, sizeOfB);
    const a = buffer(b.offset + sizeOfB, M * depth);
    const c = buffer(a.offset + M * depth, M * large);
    const args = { a, b, bias: null, c, M, N: large, K: depth, transA: 0, transB: 0 };
    return { kernel: 'gemm', args, label: '', strand };
  });
  const results = [];
  for (const [threads, instructions] of [
    [1, withoutStrands(products)],
    [2, products],
    [4, products],
  ] as const) {
    const device = await createWasmBackend({ threads, activeThreads: () => threads });
    device.reserve(4 * room);
    device.write(
      0,
      Float32Array.from({ length: 4 * room }, (_, i) => Math.sin(i)),
    );
    device.load(instructions).submit();
    results.push(await device.read(0, new Float32Array(4 * room)));
    await device.close();
  }
  const [alone, ...others] = results.map((numbers) => Buffer.from(numbers.buffer));
  for (const other of others) expect(other.equals(alone)).toBe(true);
});

test('a kernel that traps in a strand ends the run with an error, whichever thread runs it', async () => {
  const device = await createWasmBackend({ threads: 2, activeThreads: () => 2 });
  device.reserve(1 << 16);
  const beyond = 2 ** 29; // 2 GB: more than the memory has
  const strands = [0, 1, 2, 3].map((strand): Instruction => {
    const [a, y] = [buffer(beyond, 100), buffer(1024 * strand, 100)];
    return { kernel: 'add', args: { a, b: a, y, n: 100 }, label: '', strand };
  });
  expect(() => device.load(strands).submit()).toThrow();
  await device.close();
});

// Retried because three threads do not always get their share of the cores while other programs run.
test('the wait for the longest strand is time of the last instruction', { retry: 3 }, async () => {
  const [M, tiny] = [900, 3];
  const strands = [M, tiny, tiny].map((n, strand): Instruction => {
    const [x, c] = [buffer(strand * 3 * M * M, n * n), buffer((strand * 3 + 1) * M * M, n * n)];
    const args = { a: x, b: x, bias: null, c, M: n, N: n, K: n, transA: 0, transB: 0 };
    return { kernel: 'gemm', args, label: '', strand };
  });
  const device = await createWasmBackend({ threads: 3, profile: true, activeThreads: () => 3 });
  device.reserve(9 * M * M);
  const loaded = device.load(strands);
  const start = performance.now();
  for (let i = 0; i < 5; i++) loaded.submit();
  const wall = (performance.now() - start) / 1000;
  const timings = await loaded.timings!();
  const total = timings.reduce((all, { seconds }) => all + seconds, 0);
  expect(total).toBeGreaterThan(0.55 * wall); // a third without the wait
  expect(total).toBeLessThanOrEqual(1.2 * wall);
  // Two of the three threads wait for the first strand.
  expect(timings.map(({ waited }) => waited > 0)).toEqual([false, false, true]);
  expect(timings[2].waited).toBeGreaterThan(0.3 * wall);
  await device.close();
});

test('the wait for the longest strand is no sign of an occupied core', async () => {
  const sizes = [250, 500, 3, 3];
  const room = 2 * sizes[1] ** 2;
  const strands = sizes.map((n, strand): Instruction => {
    const [x, c] = [buffer(strand * room, n * n), buffer(strand * room + n * n, n * n)];
    const args = { a: x, b: x, bias: null, c, M: n, N: n, K: n, transA: 0, transB: 0 };
    return { kernel: 'gemm', args, label: '', strand };
  });
  const record = vi.spyOn(ActiveThreads.prototype, 'record');
  const device = await createWasmBackend({ threads: 4, activeThreads: () => 4 });
  device.reserve(sizes.length * room);
  const loaded = device.load(strands);
  record.mockClear();
  for (let i = 0; i < 30; i++) loaded.submit();
  const slept = record.mock.calls.map(([, , seconds]) => seconds);
  record.mockRestore();
  expect(slept).toEqual(Array(30).fill(0));
  await device.close();
});

test.each([
  [STRAND_COUNT, 'alone'],
  [STRAND_COUNT + 1, 'together'],
])('%i threads run the instructions of five strands %s', async (threads, how) => {
  const device = await createWasmBackend({ threads, profile: true, activeThreads: () => threads });
  device.reserve(END);
  const loaded = device.load(group(0));
  for (let i = 0; i < 20; i++) loaded.submit();
  const waited = (await loaded.timings!()).slice(0, -1).reduce((all, timing) => all + timing.waited, 0);
  if (how === 'alone') expect(waited).toBe(0);
  else expect(waited).toBeGreaterThan(0);
  await device.close();
});

test('attention that needs the scratch memory of a whole thread cannot be in a strand', async () => {
  const device = await createWasmBackend({ threads: 1 });
  const attention = (T: number, strand?: number): Instruction => {
    const some = buffer(0, 1);
    const buffers = { q: some, k: some, v: some, starts: null, rng: some, out: some, lse: some };
    const shape = { B: 1, T, H: 1, G: 1, D: 64, qStride: 64, kStride: 64, vStride: 64 };
    const args = { ...buffers, ...shape, site: 0, threshold: 0, scale: 1 };
    return { kernel: 'attention', args, label: '', strand };
  };
  let T = 1000;
  for (let fits = true; fits && T < 50_000; T += fits ? 1000 : 0)
    try {
      device.load([attention(T, 0)]);
    } catch (error) {
      expect(error).toBeInstanceOf(EngineMemoryError);
      fits = false;
    }
  expect(() => device.load([attention(T)])).not.toThrow();
  expect(() => device.load([attention(2 * T)])).toThrow(EngineMemoryError);
  await device.close();
});

test('a header says where each strand begins and ends', () => {
  const at = 1024;
  const { words, starts } = encode(program, at, 0);
  for (const first of [FIRST, SECOND]) {
    const header = starts[first];
    expect(Array.from(words.subarray(header, header + 2))).toEqual([STRANDS, STRAND_COUNT]);
    const wordsOfEntries = 2 * (STRAND_COUNT + 1);
    const addressOf = (i: number): number =>
      at + 4 * (i === 0 ? header + 2 + wordsOfEntries : starts[first + 4 * i]);
    const entries = Array.from({ length: STRAND_COUNT + 1 }, (_, i) => [addressOf(i), 4 * i]);
    expect(Array.from(words.subarray(header + 2, header + 2 + wordsOfEntries))).toEqual(entries.flat());
  }
  expect(words.filter((word) => word === STRANDS)).toHaveLength(2);
  expect(Array.from(encode(withoutStrands(program), at, 0).words)).not.toContain(STRANDS);
});

test.each([false, true])(
  'another program may take the place of one that has just run, profiled: %s',
  async (profile) => {
    const device = await createWasmBackend({ threads: 3, profile, activeThreads: () => 3 });
    device.reserve(1 << 12);
    const sums = Array.from({ length: 200 }, (_, i) =>
      add(buffer(0, 16), buffer(16, 16), buffer(32 + 16 * i, 16)),
    );
    const strands = sums.slice(0, 16).map((instruction, strand) => ({ ...instruction, strand }));
    const input = Float32Array.from({ length: 32 }, (_, i) => i);
    const expected = Array.from({ length: 16 }, (_, i) => 2 * i + 16);
    for (let repeat = 0; repeat < 200; repeat++) {
      for (const instructions of [strands, sums]) {
        device.clear();
        device.write(0, input);
        const loaded = device.load(instructions);
        loaded.submit();
        const results = await device.read(32, new Float32Array(16 * instructions.length));
        expect(Array.from(results)).toEqual(instructions.flatMap(() => expected));
        if (!profile) continue;
        const runs = (await loaded.timings!()).map((timing) => timing.runs);
        expect(runs).toEqual(instructions.map(() => 1));
      }
    }
    await device.close();
  },
);
