/** Copies parameters, moments and averages between the memories of ranks. */
import type { Communicator } from '../../collective/communicator.ts';
import type { Device } from '../../engine/device.ts';
import type { Region } from '../../engine/memory.ts';
import type { Slice } from './division.ts';
import { bytesOf, TAG } from './messages.ts';
import type { TransitBuffer } from './transit-buffer.ts';

/** Elements that are sent at a time. */
const CHUNK = 2 ** 20;

/** The communicator, device and buffer of the copies. */
export interface Exchange {
  readonly ranks: Communicator;
  readonly device: Device;
  readonly transit: TransitBuffer;
}

/** Copies a region from rank 0 to all others, along a binomial tree. Copies bits, whatever their type. */
export async function broadcastRegion(
  { ranks, device }: Pick<Exchange, 'ranks' | 'device'>,
  { offset, length }: Pick<Region, 'offset' | 'length'>,
): Promise<void> {
  const { rank, size } = ranks;
  const lowest = rank === 0 ? 2 ** 30 : rank & -rank;
  const children: number[] = [];
  for (let step = 1; step < lowest && rank + step < size; step *= 2) children.unshift(rank + step);
  const chunk = new Int32Array(Math.min(length, CHUNK));
  for (let at = 0; at < length; at += CHUNK) {
    const part = chunk.subarray(0, Math.min(CHUNK, length - at));
    if (rank === 0) await device.read(offset + at, part);
    else {
      await ranks.receive(rank - lowest, TAG.state, bytesOf(part));
      device.write(offset + at, part);
    }
    await Promise.all(children.map((child) => ranks.send(child, TAG.state, bytesOf(part))));
  }
}

/** Copies every owner's slices of a block to all other ranks. @param offset of the block in the device's memory */
export const allGatherSlices = (
  exchange: Exchange,
  offset: number,
  slices: readonly Slice[],
): Promise<void> => {
  const all = Array.from({ length: exchange.ranks.size }, (_, rank) => rank);
  return copySlices(
    exchange,
    offset,
    slices.map((slice) => ({ ...slice, to: all.filter((rank) => rank !== slice.owner) })),
  );
};

/** Copies every owner's slices of a block to rank 0. */
export const gatherSlices = (exchange: Exchange, offset: number, slices: readonly Slice[]): Promise<void> =>
  copySlices(
    exchange,
    offset,
    slices.map((slice) => ({ ...slice, to: slice.owner === 0 ? [] : [0] })),
  );

/** Copies every owner's slices of a block from rank 0 to their owners. */
export const scatterSlices = (exchange: Exchange, offset: number, slices: readonly Slice[]): Promise<void> =>
  copySlices(
    exchange,
    offset,
    slices.map((slice) => ({ ...slice, owner: 0, to: slice.owner === 0 ? [] : [slice.owner] })),
  );

/** A slice with the ranks that its owner sends it to. */
interface Copy extends Slice {
  readonly to: readonly number[];
}

/** Elements of the buffer for numbers in transit, 16 MiB, so that no rank needs a copy of the whole block. */
export const IN_TRANSIT = 4 * CHUNK;

/** All ranks process the slices in the same order, so that the oldest transfer can always complete. */
async function copySlices(
  { ranks, device, transit }: Exchange,
  offset: number,
  slices: readonly Copy[],
): Promise<void> {
  for (const { start, end, owner, to } of inChunks(slices)) {
    const at = offset + start;
    if (owner === ranks.rank && to.length > 0)
      await transit.place(end - start, async (numbers) => {
        await device.read(at, numbers);
        return { arrival: Promise.all(to.map((rank) => ranks.send(rank, TAG.state, bytesOf(numbers)))) };
      });
    else if (to.includes(ranks.rank))
      await transit.place(end - start, (numbers) => {
        const received = ranks.receive(owner, TAG.state, bytesOf(numbers));
        return Promise.resolve({ arrival: received.then(() => device.write(at, numbers)) });
      });
  }
  await transit.empty();
}

function* inChunks(slices: readonly Copy[]): Generator<Copy> {
  for (const { start, end, ...copy } of slices)
    for (let at = start; at < end; at += CHUNK) yield { ...copy, start: at, end: Math.min(end, at + CHUNK) };
}
