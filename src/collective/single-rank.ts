import { availableParallelism, hostname } from 'node:os';
import type { Communicator } from './communicator.ts';

/** The communicator of a process that is the only rank of its run. */
export function singleRank(): Communicator {
  const nobody = (): never => {
    throw new Error('a single rank has no peers to exchange messages with');
  };
  return {
    rank: 0,
    size: 1,
    hosts: [hostname()],
    threads: availableParallelism(),
    timeout: 0,
    send: nobody,
    receive: nobody,
    progress() {},
    close: () => Promise.resolve(),
    abort: nobody,
  };
}
