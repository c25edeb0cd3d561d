import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { placeOn, threadsByRank } from '../../src/collective/processors.ts';

const place = (processors: string, { host = 'a', most = Infinity } = {}) => ({ host, processors, most });

describe('threads of ranks', () => {
  test('that are not bound share the processors of their host', () => {
    expect(threadsByRank([place('0-7'), place('0-7')])).toEqual([4, 4]);
    expect(threadsByRank([place('0-7'), place('0-7'), place('0-7')])).toEqual([2, 2, 2]);
    expect(threadsByRank([place('0-2'), place('0-2'), place('0-2')])).toEqual([1, 1, 1]);
  });
  test('on different hosts do not', () => {
    const other = { host: 'b' };
    expect(threadsByRank([place('0-7'), place('0-3', other), place('0-3', other)])).toEqual([8, 2, 2]);
  });
  test('that are bound each to its own processors use all of them', () => {
    expect(threadsByRank([place('0-3'), place('4-7')])).toEqual([4, 4]);
    expect(threadsByRank([place('0,8'), place('1,9'), place('2-3,10-11')])).toEqual([2, 2, 4]);
  });
  test('that are bound to a socket share it', () => {
    const [first, second] = [place('0-7'), place('8-15')];
    expect(threadsByRank([first, first, second, second])).toEqual([4, 4, 4, 4]);
  });
  test('divide the quota of a container that has more processors', () => {
    const limited = place('0-63', { most: 4 });
    expect(threadsByRank([limited, limited])).toEqual([2, 2]);
  });
  test('are at least one', () => {
    expect(threadsByRank(Array.from({ length: 8 }, () => place('0-1', { most: 2 })))).toEqual(
      Array.from({ length: 8 }, () => 1),
    );
  });
});

test('a process alone has the threads that it would have without a launcher', () => {
  expect(threadsByRank([placeOn('here')])).toEqual([availableParallelism()]);
});
