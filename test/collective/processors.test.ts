import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { narrowestBinding, placeOn, threadsByRank } from '../../src/collective/processors.ts';

const place = (processors: string, { host = 'a', most = Infinity, launchers = 0 } = {}) => ({
  host,
  processors,
  most,
  launchers,
});

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

describe('a rank that is bound too narrowly', () => {
  const of16 = (...lists: string[]) =>
    narrowestBinding(lists.map((processors) => place(processors, { launchers: 16 })));
  test('is named with the processors that no rank may use', () => {
    expect(of16('0', '1')).toMatchObject({ rank: 0, processors: 1, launchers: 16, unused: 14 });
    expect(of16('0-7', '8')).toMatchObject({ rank: 1, processors: 1, unused: 7 });
    expect(of16('0,8', '1,9', '2,10')).toMatchObject({ rank: 0, processors: 2, unused: 10 });
    expect(of16('0-7', '0-7')).toMatchObject({ rank: 0, processors: 8, unused: 8 });
    expect(of16('0-7', '0-7')!.share).toBeCloseTo(4, 5);
  });
  test('is looked for on each host', () => {
    const other = { host: 'b', launchers: 4 };
    expect(
      narrowestBinding([place('0-15', { launchers: 16 }), place('0', other), place('1', other)]),
    ).toMatchObject({ rank: 1, processors: 1, launchers: 4, unused: 2 });
  });
  test('is none where ranks use all processors together, or are not bound', () => {
    expect(of16('0-15')).toBeUndefined();
    expect(of16('0-15', '0-15')).toBeUndefined();
    expect(of16('0-7', '8-15')).toBeUndefined();
    expect(of16('0-7', '8-11', '12-15')).toBeUndefined();
    expect(of16(...Array.from({ length: 16 }, (_, i) => String(i)))).toBeUndefined();
  });
  test('is none where each has its share, though another could have more', () => {
    expect(of16('0-4', '5-9', '10-14')).toBeUndefined();
  });
  test('is none under a quota, or a launcher of which nothing is known', () => {
    const limited = { launchers: 64, most: 4 };
    expect(narrowestBinding([place('0-15', limited), place('16-31', limited)])).toBeUndefined();
    expect(narrowestBinding([place('0'), place('1')])).toBeUndefined();
  });
});

test.skipIf(process.platform !== 'linux')(
  'the processors of the process that started this one are counted',
  () => {
    expect(placeOn('here').launchers).toBeGreaterThanOrEqual(availableParallelism());
  },
);

test('a process alone has the threads that it would have without a launcher', () => {
  expect(threadsByRank([placeOn('here')])).toEqual([availableParallelism()]);
});
