/** Blocks that are exchanged in several chunks. */
import { expect, test } from 'vitest';
import { createReferenceBackend } from '../../../src/engine/reference/backend.ts';
import type { TrainingPrograms } from '../../../src/train/programs.ts';
import { IN_TRANSIT, type Exchange } from '../../../src/train/ranks/state-exchange.ts';
import { TransitBuffer } from '../../../src/train/ranks/transit-buffer.ts';
import { OuterOptimizer } from '../../../src/train/replicas/outer-optimizer.ts';
import { outerStep } from '../../../src/train/replicas/outer-step.ts';
import { ReplicaState } from '../../../src/train/replicas/replica-state.ts';
import { interleavedChunks, equalSlices } from '../../../src/train/replicas/slices.ts';
import { gatherState, restoreState, type ReplicaParts } from '../../../src/train/replicas/state-transfer.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';

const RANKS = 3;
const LENGTH = IN_TRANSIT + 12_345;
const MOMENTS = 2 ** 20 + 77;
const AT = 16;
const outer = { learningRate: 0.7, momentum: 0.9 };

/** As much of a plan as is used: a model of one parameter, and a moment of a part of it. */
const programs = {
  model: {
    region: { offset: AT, length: LENGTH },
    block: {
      trained: LENGTH,
      parameters: [{ parameter: { name: 'w', shape: [LENGTH], isTrained: true }, start: 0, length: LENGTH }],
    },
  },
  moments: [
    {
      name: 'm',
      region: { offset: AT + LENGTH, length: MOMENTS },
      parameters: [{ parameter: { name: 'w', shape: [MOMENTS] }, start: 0, length: MOMENTS }],
    },
  ],
} as unknown as TrainingPrograms;

function allParts(): ReplicaParts[] {
  return ranksInMemory(RANKS).map((ranks) => {
    const device = createReferenceBackend('float32');
    device.reserve(AT + LENGTH + MOMENTS);
    const exchange: Exchange = { ranks, device, transit: new TransitBuffer(IN_TRANSIT) };
    return { exchange, programs, outer: new OuterOptimizer(exchange, programs, outer) };
  });
}

function numbersOf(rank: number, round: number, length = LENGTH): Float32Array {
  const numbers = new Float32Array(length);
  for (let i = 0; i < length; i++) numbers[i] = rank + ((i * (round + 3)) % 1009) / 1024;
  return numbers;
}

/** toEqual takes minutes for millions of numbers. */
function expectSame(found: Float32Array | undefined, expected: Float32Array): void {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
    Buffer.from(buffer, byteOffset, byteLength);
  expect(found !== undefined && bytes(found).equals(bytes(expected))).toBe(true);
}

test('slices are divided into chunks of all owners in turn, each element once', () => {
  const chunks = interleavedChunks(equalSlices(LENGTH, RANKS));
  expect(chunks.slice(0, RANKS + 1).map(({ owner }) => owner)).toEqual([0, 1, 2, 0]);
  expect(Math.max(...chunks.map(({ start, end }) => RANKS * (end - start)))).toBeLessThanOrEqual(IN_TRANSIT);
  const sorted = chunks.toSorted((a, b) => a.start - b.start);
  expect(sorted[0].start).toBe(0);
  for (const [i, { end }] of sorted.entries()) expect(sorted[i + 1]?.start ?? LENGTH).toBe(end);
});

test('two steps of all ranks are those of the whole block, and their state is gathered and restored', async () => {
  const parts = allParts();
  const anchor = new Float32Array(LENGTH);
  const momentum = new Float32Array(LENGTH);
  for (const round of [0, 1]) {
    const replicas = parts.map((_, rank) => numbersOf(rank, round));
    outerStep(outer, anchor, momentum, replicas);
    for (const [rank, { exchange }] of parts.entries()) exchange.device.write(AT, replicas[rank]);
    await Promise.all(parts.map((each) => each.outer.step()));
  }
  for (const { exchange } of parts) {
    const found = await exchange.device.read(AT, new Float32Array(LENGTH));
    expectSame(found, anchor);
  }

  for (const [rank, { exchange }] of parts.entries())
    exchange.device.write(AT + LENGTH, numbersOf(rank, 2, MOMENTS));
  const state = new ReplicaState(programs, RANKS, true);
  await Promise.all(parts.map((each, rank) => gatherState(each, true, rank === 0 ? state : undefined)));
  const saved = new Map(state.tensors().map(({ name, data }) => [name, data]));
  expect([...saved.keys()]).toEqual([
    'outer.momentum.w',
    'outer.anchor.w',
    '1.m.w',
    '1.parameters.w',
    '2.m.w',
    '2.parameters.w',
  ]);
  expectSame(saved.get('outer.momentum.w'), momentum);
  expectSame(saved.get('2.m.w'), numbersOf(2, 2, MOMENTS));

  const others = allParts();
  await Promise.all(others.map((each, rank) => restoreState(each, true, rank === 0 ? state : undefined)));
  for (const [rank, { exchange, outer: restored }] of others.entries()) {
    expectSame(restored.anchor, parts[rank].outer.anchor);
    expectSame(restored.momentum, parts[rank].outer.momentum);
    if (rank === 0) continue;
    const moments = await exchange.device.read(AT + LENGTH, new Float32Array(MOMENTS));
    expectSame(moments, numbersOf(rank, 2, MOMENTS));
  }
});
