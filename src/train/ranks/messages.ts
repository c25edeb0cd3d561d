/** Messages of any length between ranks: a description in JSON, and arrays of numbers. */
import type { Communicator } from '../../collective/communicator.ts';

/** Tags of messages; between two ranks, messages with the same tag arrive in order. */
export const TAG = { command: 1, reply: 2, gradients: 3, norm: 4, state: 5 } as const;

type Numbers = Float32Array | Float64Array | Int32Array | Uint16Array;

/** The bytes of an array, without a copy. */
export const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

export interface Message<Head> {
  readonly head: Head;
  readonly arrays: readonly Int32Array[];
}

/** Two lengths are sent first, since the receiver must know the length of each part that follows. */
const LENGTHS = 2;

export async function sendMessage(
  ranks: Communicator,
  to: number,
  tag: number,
  head: object,
  arrays: readonly Int32Array[] = [],
): Promise<void> {
  const text = new TextEncoder().encode(
    JSON.stringify({ head, lengths: arrays.map(({ length }) => length) }),
  );
  const numbers = new Int32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    numbers.set(array, at);
    at += array.length;
  }
  const lengths = Float64Array.of(text.byteLength, numbers.length);
  const sent = [ranks.send(to, tag, bytesOf(lengths)), ranks.send(to, tag, text)];
  if (numbers.length > 0) sent.push(ranks.send(to, tag, bytesOf(numbers)));
  await Promise.all(sent);
}

export async function receiveMessage<Head>(
  ranks: Communicator,
  from: number,
  tag: number,
): Promise<Message<Head>> {
  const lengths = new Float64Array(LENGTHS);
  await ranks.receive(from, tag, bytesOf(lengths));
  const text = new Uint8Array(lengths[0]);
  await ranks.receive(from, tag, text);
  const numbers = new Int32Array(lengths[1]);
  if (numbers.length > 0) await ranks.receive(from, tag, bytesOf(numbers));
  const parsed = JSON.parse(new TextDecoder().decode(text)) as { head: Head; lengths: number[] };
  let at = 0;
  const arrays = parsed.lengths.map((length) => numbers.subarray(at, (at += length)));
  return { head: parsed.head, arrays };
}
