import { expect, test } from 'vitest';
import { withNewRows } from '../../src/model/new-rows.ts';
import { writeTensor } from '../../src/model/tensor.ts';

test('new rows are the mean of those of known tokens, in whatever chunks these arrive', () => {
  const old = Float32Array.from([1, 10, 3, 30, 5, 80, 99, 99]); // the last row is spare
  for (const chunk of [1, 3, 8]) {
    const target = { name: 'wte', shape: [6, 2], data: new Float32Array(12).fill(7) };
    const rows = withNewRows(target, [4, 2], { first: 3, end: 5 });
    expect(rows.shape).toEqual([4, 2]);
    for (let at = 0; at < old.length; at += chunk) writeTensor(rows, old.subarray(at, at + chunk), at);
    expect([...target.data]).toEqual([1, 10, 3, 30, 5, 80, 3, 40, 3, 40, 7, 7]);
  }
});
