/** The communicator of a process that a launcher started. */
import { UserError } from '../../errors.ts';
import { formatCountOf } from '../../format.ts';
import type { Communicator } from '../communicator.ts';
import { launcherNames, type Launch } from '../launch.ts';
import { narrowestBinding, placeOn, threadsByRank, type Binding, type Place } from '../processors.ts';
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
  checkWorld(launch, session, opened.version);
  const communicator = new MpiCommunicator(opened, session);
  await communicator.exchangePlaces();
  return communicator;
}

/** With another launcher's library every process would be rank 0 of 1, so that N runs would overwrite each other. */
export function checkWorld(
  { launcher, rank, size: expected }: Launch,
  world: Pick<MpiSession, 'rank' | 'size'>,
  version: string,
): void {
  const { size } = world;
  if (expected === undefined || size === expected) {
    if (world.rank === rank) return;
    throw new UserError(
      'mpi-unavailable',
      `${launcherNames[launcher]} started this process as rank ${rank}, but for ${version} it is rank ${world.rank}`,
      { hint: `set ${VARIABLE} to the path of that launcher's library, or use the mpirun of ${version}` },
    );
  }
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
const LONGEST_PLACE = 8192;

/** The ranks of MPI_COMM_WORLD. */
export class MpiCommunicator implements Communicator {
  readonly rank: number;
  readonly size: number;
  readonly hosts: string[];
  threads = 1;
  /** Known to rank 0. */
  binding: Binding | undefined;
  /** Name and version of the library, such as `Open MPI v5.0.11`. */
  readonly library: string;
  /** Name of the ABI through which it is called. */
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
    this.#session.finalize(Math.ceil(this.timeout));
  }

  abort(exitCode: number): void {
    this.#session.abort(exitCode);
  }

  /** Fills `hosts`, `threads` and `binding`: rank 0 collects the ranks' places. */
  async exchangePlaces(): Promise<void> {
    const others = Array.from({ length: this.size - 1 }, (_, i) => i + 1);
    const own = padded(JSON.stringify(placeOn(this.#session.host)), LONGEST_PLACE);
    const hosts = new Uint8Array(LONGEST_HOST * this.size);
    const threads = new Int32Array(1);
    if (this.rank === 0) {
      const places = [own, ...others.map(() => new Uint8Array(LONGEST_PLACE))];
      await Promise.all(others.map((rank) => this.receive(rank, 0, places[rank])));
      const found = places.map((place) => JSON.parse(textOf(place)) as Place);
      for (const [rank, { host }] of found.entries())
        hosts.set(padded(host, LONGEST_HOST), LONGEST_HOST * rank);
      const shares = Int32Array.from(threadsByRank(found));
      threads[0] = shares[0];
      this.binding = narrowestBinding(found);
      await Promise.all(
        others.flatMap((rank) => [
          this.send(rank, 0, hosts),
          this.send(
            rank,
            0,
            new Uint8Array(shares.buffer, rank * shares.BYTES_PER_ELEMENT, shares.BYTES_PER_ELEMENT),
          ),
        ]),
      );
    } else {
      await this.send(0, 0, own);
      await this.receive(0, 0, hosts);
      await this.receive(0, 0, new Uint8Array(threads.buffer));
    }
    [this.threads] = threads;
    for (const rank of this.hosts.keys())
      this.hosts[rank] = textOf(hosts.subarray(LONGEST_HOST * rank, LONGEST_HOST * (rank + 1)));
  }
}

/** A text as a message of fixed length. */
function padded(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  new TextEncoder().encodeInto(text, bytes);
  return bytes;
}

const textOf = (padding: Uint8Array): string => new TextDecoder().decode(padding).replace(/\0.*/s, '');
