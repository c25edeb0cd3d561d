import { expect, it } from 'vitest';
import type { Communicator } from '../../src/collective/communicator.ts';
import { linksToTime, timeNetwork } from '../../src/collective/time-network.ts';
import { Transfers } from '../../src/collective/transfers.ts';
import { FakeNetwork } from './fake-network.ts';

it('rank 0 is timed with a rank of its own host, and with the first of every other host', () => {
  expect(linksToTime(['a', 'a', 'a', 'b', 'b', 'c'])).toEqual([1, 3, 5]);
  expect(linksToTime(['a', 'b', 'a', 'b'])).toEqual([1, 2]);
  expect(linksToTime(['a', 'b'])).toEqual([1]);
  expect(linksToTime(['a'])).toEqual([]);
});

it('every link gets times for all sizes, and every rank comes to an end', async () => {
  const hosts = ['a', 'a', 'b', 'b'];
  const network = new FakeNetwork();
  const ranks = hosts.map((_, rank): Communicator => {
    const transfers = new Transfers(network.endpoint(rank), { hosts });
    return {
      rank,
      size: hosts.length,
      hosts,
      threads: 1,
      timeout: 0,
      send: (to, tag, data) => transfers.send(to, tag, data),
      receive: (from, tag, into) => transfers.receive(from, tag, into),
      progress: () => void transfers.progress(),
      close: () => transfers.settled(),
      abort: () => {},
    };
  });
  const timed: string[] = [];
  const [links, ...others] = await Promise.all(
    ranks.map((all) => timeNetwork(all, 0.05, (host) => timed.push(host))),
  );
  expect(others).toEqual([[], [], []]);
  expect(timed).toEqual(['a', 'b']);
  expect(links.map(({ rank, host, isLocal }) => [rank, host, isLocal])).toEqual([
    [1, 'a', true],
    [2, 'b', false],
  ]);
  for (const { times } of links) {
    expect(times.map(({ bytes }) => bytes)).toEqual(
      times.map(({ bytes }) => bytes).toSorted((x, y) => x - y),
    );
    expect(times[0].bytes).toBe(1);
    for (const { seconds, exchangeSeconds } of times)
      expect(Math.min(seconds, exchangeSeconds)).toBeGreaterThan(0);
  }
});
