import type { Communicator } from '../../collective/communicator.ts';
import type { Command } from './commands.ts';
import { sendMessage, TAG } from './messages.ts';

/** Heartbeats within the time after which a silent rank counts as lost. */
const HEARTBEATS = 4;

/** Rank 0's side of the protocol: it sends commands, the others execute them. */
export class Leader {
  readonly ranks: Communicator;
  /** All ranks but this one. */
  readonly others: readonly number[];
  readonly #timer: NodeJS.Timeout | undefined;
  /** The ranks are in the middle of a computation, or one has failed there. */
  #isTogether = false;

  constructor(ranks: Communicator) {
    this.ranks = ranks;
    this.others = Array.from({ length: ranks.size - 1 }, (_, i) => i + 1);
    if (ranks.timeout > 0)
      this.#timer = setInterval(() => this.#sendHeartbeat(), (1000 * ranks.timeout) / HEARTBEATS).unref();
  }

  #sendHeartbeat(): void {
    if (this.#isTogether) return;
    this.tell({ type: 'heartbeat' }).catch(() => {}); // if a rank is lost, the next command finds out
  }

  async tell(command: Command): Promise<void> {
    await Promise.all(this.others.map((rank) => this.send(rank, command)));
  }

  send(rank: number, command: Command, arrays: readonly Int32Array[] = []): Promise<void> {
    return sendMessage(this.ranks, rank, TAG.command, command, arrays);
  }

  /** Runs a computation in which all ranks take part. */
  async together<T>(compute: () => Promise<T>): Promise<T> {
    this.#isTogether = true;
    const result = await compute();
    this.#isTogether = false;
    return result;
  }

  /** Ends the run on all ranks, unless one has failed: they are then ended by their launcher, as soon as this process exits. */
  async dismiss(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#isTogether) return;
    await this.tell({ type: 'end' });
    await this.ranks.close();
  }
}
