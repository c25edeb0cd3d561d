/** Parameters, moments and averages between the memories of ranks. */
import type { Communicator } from '../../collective/communicator.ts';
import type { Device } from '../../engine/device.ts';
import type { Region } from '../../engine/memory.ts';
import type { Slice } from './division.ts';
import { bytesOf, TAG } from './messages.ts';

/** Elements that are sent at a time. */
const CHUNK = 2 ** 20;

/** Copies a region from rank 0 to all others, along a binomial tree. Bits are copied, whatever type they are of. */
export async function broadcastRegion(
  ranks: Communicator,
  device: Device,
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

/**
 * Copies every owner's slices of a block to all other ranks.
 *
 * @param offset of the block in the device's memory
 * @param scratch reused by calls with the same slices
 */
export const allGatherSlices = (
  ranks: Communicator,
  device: Device,
  offset: number,
  slices: readonly Slice[],
  scratch: Float32Array[] = [],
): Promise<void> => {
  const all = Array.from({ length: ranks.size }, (_, rank) => rank);
  return copySlices(ranks, device, offset, slices, (owner) => all.filter((rank) => rank !== owner), scratch);
};

/** Copies every owner's slices of a block to rank 0. */
export const gatherSlices = (
  ranks: Communicator,
  device: Device,
  offset: number,
  slices: readonly Slice[],
): Promise<void> => copySlices(ranks, device, offset, slices, (owner) => (owner === 0 ? [] : [0]));

/** Copies every owner's slices of a block from rank 0 to their owners. */
export function scatterSlices(
  ranks: Communicator,
  device: Device,
  offset: number,
  slices: readonly Slice[],
): Promise<void> {
  const fromFirst = slices.filter(({ owner }) => owner !== 0).map((slice) => ({ ...slice, to: slice.owner }));
  return copySlices(
    ranks,
    device,
    offset,
    fromFirst.map((slice) => ({ ...slice, owner: 0 })),
    (_, slice) => [fromFirst[slice].to],
  );
}

/** @param receivers the ranks that get a slice, by its owner and index */
async function copySlices(
  ranks: Communicator,
  device: Device,
  offset: number,
  slices: readonly Slice[],
  receivers: (owner: number, slice: number) => readonly number[],
  scratch: Float32Array[] = [],
): Promise<void> {
  const transfers: Promise<unknown>[] = [];
  for (const [i, { owner, start, end }] of slices.entries()) {
    const to = receivers(owner, i);
    if (owner !== ranks.rank && !to.includes(ranks.rank)) continue;
    const numbers = (scratch[i] ??= new Float32Array(end - start));
    if (owner === ranks.rank) {
      await device.read(offset + start, numbers);
      transfers.push(...to.map((rank) => ranks.send(rank, TAG.state, bytesOf(numbers))));
    } else
      transfers.push(
        ranks.receive(owner, TAG.state, bytesOf(numbers)).then(() => device.write(offset + start, numbers)),
      );
  }
  await Promise.all(transfers);
}
