/** The communicator of a process that a launcher started. */
import { UserError } from '../../errors.ts';
import { formatCountOf } from '../../format.ts';
import type { Communicator } from '../communicator.ts';
import { launcherNames, type Launch } from '../launch.ts';
import { Transfers } from '../transfers.ts';
import { openMpi, VARIABLE, type OpenLibrary } from './library.ts';
import { startMpi, type MpiSession } from './messages.ts';

/**
 * Loads MPI and joins the other ranks, all of which must call it, once.
 *
 * @param environment in which the launcher started this process
 * @throws UserError if there is no MPI, or not the launcher's
 */
export async function connectMpi(
  launch: Launch,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<MpiCommunicator> {
  const opened = openMpi(launch.launcher, environment);
  const session = startMpi(opened);
  checkSize(launch, session, opened.version);
  const communicator = new MpiCommunicator(opened, session);
  await communicator.exchangeHosts();
  return communicator;
}

/** With the library of another launcher, every process is alone: N runs that overwrite each other instead of one. */
function checkSize({ launcher, size: expected }: Launch, { size }: MpiSession, version: string): void {
  if (expected === undefined || size === expected) return;
  throw new UserError(
    'mpi-unavailable',
    `started by ${launcherNames[launcher]} with ${formatCountOf(expected, 'rank')}, but ${version} sees ${size}: the library is not the launcher's`,
    {
      hint:
        launcher === 'slurm'
          ? `start it with srun --mpi=pmix or --mpi=pmi2, or set ${VARIABLE} to the library that srun supports`
          : `set ${VARIABLE} to the path of that launcher's library, or use the mpirun of ${version}`,
    },
  );
}

/** In bytes; at least MPI_MAX_PROCESSOR_NAME. */
const LONGEST_HOST = 256;

/** The ranks that MPI knows. */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly hosts: string[];
  /** Name and version of the library, such as `Open MPI v5.0.11`. */
  readonly library: string;
  /** Name of the ABI it is called by. */
  readonly abi: string;
  readonly #session: MpiSession;
  readonly #transfers: Transfers;

  constructor({ version, abi }: Pick<OpenLibrary, 'version' | 'abi'>, session: MpiSession) {
    this.library = version;
    this.abi = abi.name;
    this.rank = session.rank;
    this.size = session.size;
    this.hosts = Array.from({ length: session.size }, () => '');
    this.#session = session;
    this.#transfers = new Transfers(session, { hosts: this.hosts });
  }

  get timeout(): number {
    return this.#transfers.timeout;
  }
  set timeout(seconds: number) {
    this.#transfers.timeout = seconds;
  }

  send(to: number, tag: number, data: Uint8Array): Promise<void> {
    return this.#transfers.send(to, tag, data);
  }

  receive(from: number, tag: number, into: Uint8Array): Promise<void> {
    return this.#transfers.receive(from, tag, into);
  }

  progress(): void {
    this.#transfers.progress();
  }

  async close(): Promise<void> {
    await this.#transfers.settled();
    this.#session.finalize();
  }

  abort(exitCode: number): void {
    this.#session.abort(exitCode);
  }

  /** Fills `hosts`: rank 0 collects the names and sends all to everybody. */
  async exchangeHosts(): Promise<void> {
    const names = new Uint8Array(LONGEST_HOST * this.size);
    const nameOf = (rank: number) => names.subarray(LONGEST_HOST * rank, LONGEST_HOST * (rank + 1));
    new TextEncoder().encodeInto(this.#session.host, nameOf(this.rank));
    const others = Array.from({ length: this.size - 1 }, (_, i) => i + 1);
    if (this.rank === 0) {
      await Promise.all(others.map((rank) => this.receive(rank, 0, nameOf(rank))));
      await Promise.all(others.map((rank) => this.send(rank, 0, names)));
    } else {
      await this.send(0, 0, nameOf(this.rank));
      await this.receive(0, 0, names);
    }
    for (const rank of this.hosts.keys())
      this.hosts[rank] = new TextDecoder().decode(nameOf(rank)).replace(/\0.*/s, '');
  }
}
