/** Transfers the state of replicas between their memories and the memory of rank 0's host. Every function is collective. */
import type { Region } from '../../engine/memory.ts';
import type { TrainingPrograms } from '../programs.ts';
import { bytesOf, TAG } from '../ranks/messages.ts';
import type { Exchange } from '../ranks/state-exchange.ts';
import type { OuterOptimizer } from './outer-optimizer.ts';
import { blocksOf, outerNames, type OuterName, type ReplicaState } from './replica-state.ts';

/** Elements that are sent at a time. */
const CHUNK = 2 ** 20;

/** The parts of a replica. */
export interface ReplicaParts {
  readonly exchange: Exchange;
  readonly programs: TrainingPrograms;
  readonly outer: OuterOptimizer;
}

/** Collects the state of all replicas. @param state on rank 0, to be filled */
export async function gatherState(
  parts: ReplicaParts,
  haveDiverged: boolean,
  state?: ReplicaState,
): Promise<void> {
  const { exchange, programs } = parts;
  for (const name of outerNames(haveDiverged)) await gatherOuter(parts, name, state?.outer[name]);
  for (const [i, { region }] of blocksOf(programs, haveDiverged).entries())
    if (state === undefined) await sendRegion(exchange, region);
    else await forOtherRanks(exchange, (rank) => receiveNumbers(exchange, rank, state.replicas[rank][i]));
}

/** Restores what `gatherState` has collected. @param state on rank 0 */
export async function restoreState(
  parts: ReplicaParts,
  haveDiverged: boolean,
  state?: ReplicaState,
): Promise<void> {
  const { exchange, programs } = parts;
  for (const name of outerNames(haveDiverged)) await scatterOuter(parts, name, state?.outer[name]);
  for (const [i, { region }] of blocksOf(programs, haveDiverged).entries())
    if (state === undefined) await receiveRegion(exchange, region);
    else await forOtherRanks(exchange, (rank) => sendNumbers(exchange, rank, state.replicas[rank][i]));
}

/** @param whole on rank 0 */
async function gatherOuter(
  { exchange, outer }: ReplicaParts,
  name: OuterName,
  whole: Float32Array | undefined,
): Promise<void> {
  if (whole === undefined) return sendNumbers(exchange, 0, outer[name]);
  const sliceOf = sliceIn(whole, outer);
  sliceOf(0).set(outer[name]);
  await forOtherRanks(exchange, (rank) => receiveNumbers(exchange, rank, sliceOf(rank)));
}

async function scatterOuter(
  { exchange, outer }: ReplicaParts,
  name: OuterName,
  whole: Float32Array | undefined,
): Promise<void> {
  if (whole === undefined) return receiveNumbers(exchange, 0, outer[name]);
  const sliceOf = sliceIn(whole, outer);
  outer[name].set(sliceOf(0));
  await forOtherRanks(exchange, (rank) => sendNumbers(exchange, rank, sliceOf(rank)));
}

const sliceIn =
  (whole: Float32Array, { slices }: OuterOptimizer) =>
  (rank: number): Float32Array =>
    whole.subarray(slices[rank].start, slices[rank].end);

async function forOtherRanks({ ranks }: Exchange, act: (rank: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: ranks.size - 1 }, (_, i) => act(i + 1)));
}

function chunksOf(numbers: Float32Array): Float32Array[] {
  const chunks: Float32Array[] = [];
  for (let at = 0; at < numbers.length; at += CHUNK) chunks.push(numbers.subarray(at, at + CHUNK));
  return chunks;
}

async function sendNumbers({ ranks }: Exchange, to: number, numbers: Float32Array): Promise<void> {
  await Promise.all(chunksOf(numbers).map((chunk) => ranks.send(to, TAG.state, bytesOf(chunk))));
}

async function receiveNumbers({ ranks }: Exchange, from: number, numbers: Float32Array): Promise<void> {
  await Promise.all(chunksOf(numbers).map((chunk) => ranks.receive(from, TAG.state, bytesOf(chunk))));
}

type Stretch = Pick<Region, 'offset' | 'length'>;

/** Sends a region of this rank's memory to rank 0. */
async function sendRegion({ ranks, device, transit }: Exchange, { offset, length }: Stretch): Promise<void> {
  for (let at = 0; at < length; at += CHUNK)
    await transit.place(Math.min(CHUNK, length - at), async (numbers) => {
      await device.read(offset + at, numbers);
      return { arrival: ranks.send(0, TAG.state, bytesOf(numbers)) };
    });
  await transit.empty();
}

async function receiveRegion(
  { ranks, device, transit }: Exchange,
  { offset, length }: Stretch,
): Promise<void> {
  for (let at = 0; at < length; at += CHUNK)
    await transit.place(Math.min(CHUNK, length - at), (numbers) => {
      const received = ranks.receive(0, TAG.state, bytesOf(numbers));
      return Promise.resolve({ arrival: received.then(() => device.write(offset + at, numbers)) });
    });
  await transit.empty();
}
