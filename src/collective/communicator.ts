/** Messages between the processes ("ranks") of a run. */
export interface Communicator {
  /** Rank of this process, from 0. */
  readonly rank: number;
  readonly size: number;
  /** Host names by rank. */
  readonly hosts: readonly string[];
  /** This rank's share of the processors of its host. */
  readonly threads: number;
  /** Sends the bytes; they must not change until the promise resolves. Messages between two ranks with one tag arrive in order. */
  send(to: number, tag: number, data: Uint8Array): Promise<void>;
  /** Receives a message of exactly `into.byteLength` bytes. */
  receive(from: number, tag: number, into: Uint8Array): Promise<void>;
  /** Advances transfers without waiting; called between instructions of a long computation. */
  progress(): void;
  /** Seconds without progress after which a pending transfer fails; 0: never. */
  timeout: number;
  /** Finalizes MPI; all ranks call it. A process that waits for others longer than `timeout` is killed by SIGALRM. */
  close(): Promise<void>;
  /** Ends the processes of all ranks at once. */
  abort(exitCode: number): void;
}

/** Number of ranks on this rank's host. */
export const ranksOnHost = ({ hosts, rank }: Pick<Communicator, 'hosts' | 'rank'>): number =>
  hosts.filter((host) => host === hosts[rank]).length;

/** How errors name a rank. */
export const rankName = (hosts: readonly string[], rank: number): string => `rank ${rank} on ${hosts[rank]}`;
