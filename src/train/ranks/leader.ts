import type { Communicator } from '../../collective/communicator.ts';
import type { Command } from './commands.ts';
import { receiveMessage, sendMessage, TAG } from './messages.ts';

/** Heartbeats per timeout, after which a silent rank counts as lost. */
const HEARTBEATS = 4;

/** Rank 0's side of the protocol: it sends commands, the others execute them. */
export class Leader {
  readonly ranks: Communicator;
  /** All ranks but this one. */
  readonly others: readonly number[];
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(ranks: Communicator) {
    this.ranks = ranks;
    this.others = Array.from({ length: ranks.size - 1 }, (_, i) => i + 1);
    if (ranks.timeout > 0)
      this.#timer = setInterval(() => this.#sendHeartbeat(), (1000 * ranks.timeout) / HEARTBEATS).unref();
  }

  /** A rank that is computing receives it after its current command. */
  #sendHeartbeat(): void {
    this.tell({ type: 'heartbeat' }).catch(() => {}); // if a rank is lost, the next command finds out
  }

  async tell(command: Command): Promise<void> {
    await Promise.all(this.others.map((rank) => this.send(rank, command)));
  }

  send(rank: number, command: Command, arrays: readonly Int32Array[] = []): Promise<void> {
    return sendMessage(this.ranks, rank, TAG.command, command, arrays);
  }

  /** Ends the run on all ranks and awaits their answers, with a timeout, which closing the communicator does not have. */
  async end(): Promise<void> {
    this.stop();
    await this.tell({ type: 'end' });
    await Promise.all(this.others.map((rank) => receiveMessage(this.ranks, rank, TAG.reply)));
  }

  /** Ends the heartbeat. */
  stop(): void {
    clearInterval(this.#timer);
  }
}
