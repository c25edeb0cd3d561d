import { describe, expect, it } from 'vitest';
import { Transfers } from '../../src/collective/transfers.ts';
import { failure } from '../fixtures/failure.ts';
import { FakeNetwork } from './fake-network.ts';

const hosts = ['ada', 'bob'];

function pair(largestPart?: number) {
  const network = new FakeNetwork();
  const options = { hosts, ...(largestPart !== undefined && { largestPart }) };
  const [a, b] = [0, 1].map((rank) => new Transfers(network.endpoint(rank), options));
  return { network, a, b };
}

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => i * seed + length);

describe('transfers', () => {
  it.each([0, 1, 9, 10, 11, 35])('%i bytes arrive in parts of at most 10', async (length) => {
    const { network, a, b } = pair(10);
    const into = new Uint8Array(length);
    await Promise.all([b.receive(0, 1, into), a.send(1, 1, bytes(length))]);
    expect(into).toEqual(bytes(length));
    expect(Math.max(...network.sent)).toBeLessThanOrEqual(10);
    expect(network.sent).toHaveLength(Math.max(1, Math.ceil(length / 10)));
  });

  it('messages of one tag arrive in order, and tags do not mix', async () => {
    const { a, b } = pair(10);
    const into = [25, 5, 25].map((length) => new Uint8Array(length));
    const received = [b.receive(0, 1, into[0]), b.receive(0, 2, into[1]), b.receive(0, 1, into[2])];
    const sent = [a.send(1, 2, bytes(5)), a.send(1, 1, bytes(25, 3)), a.send(1, 1, bytes(25, 5))];
    await Promise.all([...received, ...sent]);
    expect(into).toEqual([bytes(25, 3), bytes(5), bytes(25, 5)]);
  });

  it('progress() completes a transfer without a turn of the event loop', async () => {
    const { a, b } = pair();
    const into = new Uint8Array(3);
    let isDone = false;
    void b.receive(0, 1, into).then(() => (isDone = true));
    void a.send(1, 1, bytes(3));
    a.progress();
    b.progress();
    await Promise.resolve(); // microtasks
    expect(isDone).toBe(true);
  });

  it('progress() ends all that has arrived, though the library ends one message per test', async () => {
    const { a, b } = pair();
    let ended = 0;
    for (let i = 0; i < 20; i++) {
      void b.receive(0, 1, new Uint8Array(3)).then(() => ended++);
      void a.send(1, 1, bytes(3));
    }
    b.progress();
    await Promise.resolve();
    expect(ended).toBe(20);
  });

  it('timers and signals are served while a receive waits', async () => {
    const { a, b } = pair();
    let isDone = false;
    const received = b.receive(0, 1, new Uint8Array(1)).then(() => (isDone = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isDone).toBe(false);
    await a.send(1, 1, bytes(1));
    await received;
  });

  it('a message of another length is a bug that is reported as one', async () => {
    const { a, b } = pair();
    const [received] = await Promise.allSettled([b.receive(0, 1, new Uint8Array(4)), a.send(1, 1, bytes(3))]);
    expect(received).toMatchObject({
      status: 'rejected',
      reason: new Error('rank 0 sent 3 bytes where 4 were expected'),
    });
  });

  it('an error of the library fails everything that is pending', async () => {
    const { network, b } = pair();
    const received = [b.receive(0, 1, new Uint8Array(1)), b.receive(0, 2, new Uint8Array(1))];
    network.error = new Error('connection reset');
    for (const each of await Promise.allSettled(received))
      expect(each).toMatchObject({ status: 'rejected', reason: network.error });
    expect(b.isPending).toBe(false);
  });
});

describe('timeout', () => {
  it('ends with an error that names rank and host, and what to do', async () => {
    const { b } = pair();
    b.timeout = 0.05;
    const error: unknown = await b.receive(0, 1, new Uint8Array(1)).catch((reason: unknown) => reason);
    expect(() => {
      throw error;
    }).toThrow(failure('rank-lost', 'rank 0', 'ada', '0.05 seconds'));
    expect(error).toMatchObject({ hint: expect.stringMatching(/ada.*resumed/) });
  });

  it('begins anew with every message of the same rank', async () => {
    const { a, b } = pair();
    b.timeout = 0.2;
    const received = b.receive(0, 1, new Uint8Array(1));
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      await Promise.all([b.receive(0, 2, new Uint8Array(1)), a.send(1, 2, bytes(1))]);
    }
    await a.send(1, 1, bytes(1));
    await received;
  });

  it('is not lost while this process computes', async () => {
    const { a, b } = pair();
    b.timeout = 0.2;
    const received = b.receive(0, 1, new Uint8Array(1));
    for (let i = 0; i < 8; i++) {
      const end = performance.now() + 50;
      while (performance.now() < end);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await a.send(1, 1, bytes(1));
    await received;
  });
});
