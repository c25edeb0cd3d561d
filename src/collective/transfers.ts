/** Sends and receives as promises, over nonblocking messages that are polled. */
import { UserError } from '../errors.ts';
import { rankName } from './communicator.ts';
import type { Messages } from './mpi/messages.ts';

/** In bytes. MPI counts in 32-bit integers, so longer messages are sent in parts. */
export const LARGEST_PART = 2 ** 30;

interface Transfer {
  readonly receives: boolean;
  readonly peer: number;
  /** Keeps the buffer alive until the transfer ends: MPI has only its address. */
  readonly data: Uint8Array;
  /** Number of parts in progress. */
  parts: number;
  /** `#waited` when it began. */
  readonly since: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Part {
  readonly transfer: Transfer;
  readonly bytes: number;
}

// All in milliseconds.
/** Waiting starts with a short spin, which has the lowest latency but takes time from other ranks on the same core. */
const SPIN = 0.05;
const SPIN_WHILE = 1;
/** After this time, the thread sleeps between tests, which frees the core if there are more ranks than cores. */
const SLEEP_AFTER = 0.3;
/**
 * Sleeps are short at first, since a long message over TCP arrives only as fast as tests empty the socket, and reach 1 ms
 * after ten seconds.
 */
const [SHORTEST_SLEEP, LONGEST_SLEEP, SLEEP_FRACTION] = [0.05, 1, 1e-4];
/** If a turn of the event loop took longer, this process is computing: it neither sleeps nor counts as waiting. */
const BUSY = 25;

export interface TransferOptions {
  /** Host names by rank, for errors. */
  readonly hosts: readonly string[];
  /** In bytes. */
  readonly largestPart?: number;
  /** In milliseconds. */
  readonly now?: () => number;
}

export class Transfers {
  /** See `Communicator`. */
  timeout = 0;
  readonly #messages: Messages;
  readonly #hosts: readonly string[];
  readonly #largestPart: number;
  readonly #now: () => number;
  /** By request. */
  readonly #parts = new Map<number, Part>();
  readonly #pending = new Set<Transfer>();
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));
  /** Seconds in which this process did nothing but wait; time spent computing or suspended does not count. */
  #waited = 0;
  /** By peer: `#waited` when the last message from it ended. */
  readonly #heardAt = new Map<number, number>();
  /** `#waited` at the last check for overdue transfers. */
  #lookedAt = 0;
  #turnAt = 0;
  #movedAt = 0;
  #isScheduled = false;

  constructor(
    messages: Messages,
    { hosts, largestPart = LARGEST_PART, now = () => performance.now() }: TransferOptions,
  ) {
    this.#messages = messages;
    this.#hosts = hosts;
    this.#largestPart = largestPart;
    this.#now = now;
  }

  send(to: number, tag: number, data: Uint8Array): Promise<void> {
    return this.#start(false, to, data, (part) => this.#messages.isend(part, to, tag));
  }

  receive(from: number, tag: number, into: Uint8Array): Promise<void> {
    return this.#start(true, from, into, (part) => this.#messages.ireceive(part, from, tag));
  }

  /** True while a transfer is in progress. */
  get isPending(): boolean {
    return this.#pending.size > 0;
  }

  /** Resolves when every transfer has ended, or failed. */
  async settled(): Promise<void> {
    while (this.isPending) await new Promise((next) => setImmediate(next));
  }

  /** Completes transfers that MPI has finished. @returns true if a transfer, or a part of one, has ended */
  progress(): boolean {
    let hasEnded = false;
    try {
      while (this.#parts.size > 0) {
        const ended = this.#messages.test();
        if (ended.length === 0) break;
        for (const { request, bytes } of ended) this.#end(request, bytes);
        hasEnded = true;
      }
    } catch (error) {
      this.#failAll(error);
    }
    if (hasEnded) this.#movedAt = this.#now();
    return hasEnded;
  }

  #start(
    receives: boolean,
    peer: number,
    data: Uint8Array,
    post: (part: Uint8Array) => number,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const transfer: Transfer = { receives, peer, data, parts: 0, since: this.#waited, resolve, reject };
      let from = 0;
      do {
        const part = data.subarray(from, from + this.#largestPart);
        this.#parts.set(post(part), { transfer, bytes: part.byteLength });
        transfer.parts++;
        from += this.#largestPart;
      } while (from < data.byteLength);
      if (!this.isPending) this.#turnAt = this.#movedAt = this.#now();
      this.#pending.add(transfer);
      this.#schedule();
    });
  }

  #end(request: number, bytes: number): void {
    const part = this.#parts.get(request)!;
    this.#parts.delete(request);
    const { transfer } = part;
    if (transfer.receives && bytes !== part.bytes)
      transfer.reject(
        new Error(`rank ${transfer.peer} sent ${bytes} bytes where ${part.bytes} were expected`),
      );
    // MPI may still deliver short messages to a rank that hangs, so only messages from it are a sign of life.
    if (transfer.receives) this.#heardAt.set(transfer.peer, this.#waited);
    if (--transfer.parts > 0) return;
    this.#pending.delete(transfer);
    transfer.resolve();
  }

  /** The requests remain with MPI, so their buffers must stay alive. */
  #failAll(error: unknown): void {
    for (const transfer of this.#pending) this.#fail(transfer, error);
  }

  #fail(transfer: Transfer, error: unknown): void {
    this.#pending.delete(transfer);
    transfer.reject(error);
  }

  #schedule(): void {
    if (this.#isScheduled || !this.isPending) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  /** Runs once per turn of the event loop while a transfer is pending. */
  readonly #turn = (): void => {
    this.#isScheduled = false;
    const before = this.#turnAt;
    this.#turnAt = this.#now();
    const gap = this.#turnAt - before;
    if (!this.progress() && gap < BUSY) this.#wait(gap);
    this.#schedule();
  };

  /** @param gap in milliseconds, since the last turn */
  #wait(gap: number): void {
    const waited = this.#turnAt - this.#movedAt;
    if (waited < SPIN_WHILE) {
      while (this.#now() - this.#turnAt < SPIN) if (this.progress()) return;
    }
    if (waited > SLEEP_AFTER) {
      const sleep = Math.min(LONGEST_SLEEP, Math.max(SHORTEST_SLEEP, SLEEP_FRACTION * waited));
      Atomics.wait(this.#sleeper, 0, 0, sleep);
      if (this.progress()) return;
    }
    this.#waited += gap / 1000;
    if (this.timeout > 0) this.#failOverdue();
  }

  /** Fails the transfers whose peers have been silent for too long. */
  #failOverdue(): void {
    if (this.#waited - this.#lookedAt < this.timeout / 20) return; // there may be thousands of transfers
    this.#lookedAt = this.#waited;
    for (const transfer of this.#pending) {
      const since = Math.max(transfer.since, this.#heardAt.get(transfer.peer) ?? 0);
      if (this.#waited - since > this.timeout) this.#fail(transfer, this.#silence(transfer));
    }
  }

  #silence({ peer, receives }: Transfer): UserError {
    const what = receives ? 'sent nothing' : 'received nothing';
    return new UserError(
      'rank-lost',
      `${rankName(this.#hosts, peer)} has ${what} for ${this.timeout} second${this.timeout === 1 ? '' : 's'}`,
      {
        hint: `check that it still runs and that the network reaches ${this.#hosts[peer]}; what has been saved can be resumed`,
      },
    );
  }
}
