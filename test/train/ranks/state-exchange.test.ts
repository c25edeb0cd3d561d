import { expect, test } from 'vitest';
import { Philox } from '../../../src/engine/philox.ts';
import { createReferenceBackend } from '../../../src/engine/reference/backend.ts';
import {
  allGatherSlices,
  gatherSlices,
  scatterSlices,
  type Exchange,
} from '../../../src/train/ranks/state-exchange.ts';
import { TransitBuffer } from '../../../src/train/ranks/transit-buffer.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';

const RANKS = 4;
const AT = 16;
const random = new Philox(11, 0, 0);

/** Slices of 1 to 30 elements, as often at one rank as at another, with gaps. */
const slices = Array.from({ length: 60 }, (_, i) => ({
  owner: Math.floor(RANKS * random.uniform()),
  start: 40 * i,
  end: 40 * i + 1 + Math.floor(30 * random.uniform()),
}));
const LENGTH = 40 * slices.length;

/** Ranks whose buffers hold two or three slices, so that they are used again and again. */
const exchanges = (): Exchange[] =>
  ranksInMemory(RANKS, () => random.uniform()).map((ranks) => {
    const device = createReferenceBackend('float32');
    device.reserve(AT + LENGTH);
    return { ranks, device, transit: new TransitBuffer(64) };
  });

/** Element i of the block on a rank before anything is copied. */
const valueAt = (rank: number, i: number): number => rank + i / 4096;

async function after(copy: (exchange: Exchange) => Promise<void>): Promise<Float32Array[]> {
  const all = exchanges();
  for (const { device, ranks } of all)
    device.write(
      AT,
      Float32Array.from({ length: LENGTH }, (_, i) => valueAt(ranks.rank, i)),
    );
  await Promise.all(all.map(copy));
  return Promise.all(all.map(({ device }) => device.read(AT, new Float32Array(LENGTH))));
}

/** @param source the rank from which an element of a slice comes */
function expected(source: (rank: number, owner: number) => number): Float32Array[] {
  return Array.from({ length: RANKS }, (_, rank) => {
    const block = new Float32Array(LENGTH).map((zero, i) => zero + valueAt(rank, i));
    for (const { start, end, owner } of slices)
      for (let i = start; i < end; i++) block[i] = valueAt(source(rank, owner), i);
    return block;
  });
}

const ownerOf = (_rank: number, owner: number): number => owner;

test('all-gather: every rank has every slice of its owner', async () => {
  expect(await after((exchange) => allGatherSlices(exchange, AT, slices))).toEqual(expected(ownerOf));
});

test('gather: rank 0 has every slice of its owner, the others are as they were', async () => {
  expect(await after((exchange) => gatherSlices(exchange, AT, slices))).toEqual(
    expected((rank, owner) => (rank === 0 ? owner : rank)),
  );
});

test('scatter: owners have their slices of rank 0', async () => {
  expect(await after((exchange) => scatterSlices(exchange, AT, slices))).toEqual(
    expected((rank, owner) => (rank === owner ? 0 : rank)),
  );
});

test('a buffer is not overwritten before what is in it has arrived', async () => {
  const buffer = new TransitBuffer(10);
  const arrivals: (() => void)[] = [];
  const placed: number[] = [];
  const place = (length: number, value: number): Promise<void> =>
    buffer.place(length, (numbers) => {
      numbers.fill(value);
      placed.push(value);
      return Promise.resolve({ arrival: new Promise<void>((resolve) => arrivals.push(resolve)) });
    });
  await place(6, 1);
  await place(4, 2);
  const third = place(5, 3);
  await new Promise((resolve) => setImmediate(resolve));
  expect(placed).toEqual([1, 2]);
  arrivals[0]();
  await third;
  expect(placed).toEqual([1, 2, 3]);
  arrivals[1]();
  arrivals[2]();
  await buffer.empty();
  await expect(place(11, 4)).rejects.toThrow(RangeError);
});

test('a transfer that fails is reported when the buffer is emptied', async () => {
  const buffer = new TransitBuffer(4);
  await buffer.place(4, () => Promise.resolve({ arrival: Promise.reject(new Error('lost')) }));
  await new Promise((resolve) => setImmediate(resolve));
  await expect(buffer.empty()).rejects.toThrow('lost');
});
