/** Fits the turns of a conversation into a model's context. */
import type { Conversation } from './conversation.ts';

/** Fraction of the context left free when turns are dropped, so that the next turn does not drop more. */
const FREE = 1 / 4;

/** Index at which each turn starts, with a user message. Messages before the first one are part of the first turn. */
export const turnStarts = (conversation: Conversation): number[] =>
  conversation.flatMap(({ role }, i) => (role === 'user' ? [i] : []));

/** A conversation without its first turns; the system message stays. */
export function withoutTurns(conversation: Conversation, dropped: number): Conversation {
  if (dropped === 0) return conversation;
  const system = conversation.filter(({ role }) => role === 'system');
  const start = turnStarts(conversation)[dropped] ?? conversation.length;
  return [...system, ...conversation.slice(start)];
}

export interface FittedTurns {
  /** The conversation that the model sees, up to where its answer starts. */
  readonly ids: Uint32Array;
  readonly dropped: number;
}

/**
 * If a conversation and the answer so far fill the context, drops whole turns, oldest first, until a quarter of it is free.
 * The last turn is kept.
 *
 * @param dropped turns that have been dropped before
 * @param answered tokens of the answer so far
 * @param encode ids of a conversation
 * @returns undefined if the system message and the last turn alone fill the context
 */
export function fitTurns(
  conversation: Conversation,
  dropped: number,
  answered: number,
  { blockSize, encode }: { readonly blockSize: number; readonly encode: (seen: Conversation) => Uint32Array },
): FittedTurns | undefined {
  const last = turnStarts(conversation).length - 1;
  const free = Math.ceil(FREE * blockSize);
  let ids = encode(withoutTurns(conversation, dropped));
  if (ids.length + answered >= blockSize)
    while (dropped < last && ids.length + answered > blockSize - free)
      ids = encode(withoutTurns(conversation, ++dropped));
  return ids.length + answered < blockSize ? { ids, dropped } : undefined;
}
