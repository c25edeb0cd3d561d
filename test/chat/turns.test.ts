import { describe, expect, test } from 'vitest';
import type { Conversation } from '../../src/chat/conversation.ts';
import { fitTurns, withoutTurns } from '../../src/chat/turns.ts';

const system = { role: 'system', content: 's' } as const;
const user = (content: string) => ({ role: 'user', content }) as const;
const assistant = (content: string) => ({ role: 'assistant', content }) as const;

/** Turns of eight tokens, of which the last has no answer: a token is a character here. */
const turnsOf = (count: number): Conversation => [
  ...Array.from({ length: count - 1 }, (_, i) => [user(`ask${i}`), assistant(`say${i}`)]).flat(),
  user(`ask${count - 1}`),
];
const encode = (seen: Conversation): Uint32Array =>
  new Uint32Array(seen.map(({ content }) => content).join('').length);

describe('a conversation without its first turns', () => {
  test('keeps the system message and whole turns', () => {
    expect(withoutTurns([system, ...turnsOf(3)], 1)).toEqual([
      system,
      user('ask1'),
      assistant('say1'),
      user('ask2'),
    ]);
    expect(withoutTurns(turnsOf(3), 2)).toEqual([user('ask2')]);
    expect(withoutTurns(turnsOf(3), 0)).toEqual(turnsOf(3));
  });

  test('loses what precedes the first message of the user together with the first turn', () => {
    expect(withoutTurns([system, assistant('hello'), ...turnsOf(2)], 1)).toEqual([system, user('ask1')]);
  });
});

describe('turns that fit into the context', () => {
  const fit = (conversation: Conversation, blockSize: number, { dropped = 0, answered = 0 } = {}) => {
    const fitted = fitTurns(conversation, dropped, answered, { blockSize, encode });
    return fitted && { tokens: fitted.ids.length, dropped: fitted.dropped };
  };

  test('are all of them while a token of the answer fits too', () => {
    expect(fit(turnsOf(4), 29)).toEqual({ tokens: 28, dropped: 0 });
  });

  test('are dropped, the oldest first, until a quarter of the context is free', () => {
    expect(fit(turnsOf(4), 28)).toEqual({ tokens: 20, dropped: 1 });
    expect(fit([system, ...turnsOf(4)], 28)).toEqual({ tokens: 21, dropped: 1 });
    expect(fit([system, ...turnsOf(4)], 25)).toEqual({ tokens: 13, dropped: 2 });
  });

  test('make room for an answer that has started', () => {
    expect(fit(turnsOf(4), 40, { answered: 11 })).toEqual({ tokens: 28, dropped: 0 });
    expect(fit(turnsOf(4), 40, { answered: 12 })).toEqual({ tokens: 12, dropped: 2 });
  });

  test('do not come back while there are more', () => {
    expect(fit(turnsOf(4), 100, { dropped: 2 })).toEqual({ tokens: 12, dropped: 2 });
  });

  test('include the last one, even if less than a quarter is free then', () => {
    expect(fit([system, ...turnsOf(4)], 6)).toEqual({ tokens: 5, dropped: 3 });
    expect(fit([system, ...turnsOf(4)], 5)).toBeUndefined();
    expect(fit([system, ...turnsOf(1)], 6, { answered: 1 })).toBeUndefined();
  });
});
