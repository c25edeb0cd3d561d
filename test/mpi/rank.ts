/** One rank of the tests: connects and runs a task by name. Started by mpirun, on a Node that strips types. */
import { detectLaunch } from '../../src/collective/launch.ts';
import type { Communicator } from '../../src/collective/communicator.ts';
import { connectMpi } from '../../src/collective/mpi/connect.ts';
import { UserError } from '../../src/errors.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

const [task = '', ...values] = process.argv.slice(2);

/** Bytes that tell sender, receiver and message apart. */
function content(from: number, to: number, bytes: number): Uint8Array {
  const made = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) made[i] = i * 31 + from * 7 + to * 13 + bytes;
  return made;
}

const tasks: Readonly<Record<string, (all: Communicator) => Promise<void>>> = {
  /** Everybody sends to everybody, itself too, messages of all sizes at once; later ones must not overtake. */
  async exchange(all) {
    const sizes = values.map(Number);
    const peers = Array.from({ length: all.size }, (_, i) => i);
    const sent = peers.flatMap((to) => sizes.map((bytes) => all.send(to, 7, content(all.rank, to, bytes))));
    const received = peers.flatMap((from) =>
      sizes.map(async (bytes) => {
        const into = new Uint8Array(new SharedArrayBuffer(bytes));
        await all.receive(from, 7, into);
        if (Buffer.compare(into, content(from, all.rank, bytes)) !== 0)
          throw new Error(`${bytes} bytes from ${from} to ${all.rank} have changed`);
      }),
    );
    await Promise.all([...sent, ...received]);
  },

  /** Two ranks compute for a while, and a message of 20 MB arrives meanwhile. */
  async overlap(all) {
    const data = new Uint8Array(20_000_000).fill(all.rank + 1);
    const into = new Uint8Array(data.length);
    const state = { isDone: false };
    const received = all.receive(1 - all.rank, 1, into).then(() => (state.isDone = true));
    const sent = all.send(1 - all.rank, 1, data);
    const end = performance.now() + 3000;
    while (performance.now() < end && !state.isDone) {
      all.progress();
      await Promise.resolve(); // no turn of the event loop
    }
    if (!state.isDone || into.at(-1) !== 2 - all.rank)
      throw new Error('nothing arrived during the computation');
    await Promise.all([received, sent]);
  },

  /** A long message in one piece: more bytes than MPI can count. */
  async long(all) {
    const bytes = Number(values[0]);
    if (all.rank === 0) {
      const data = new Uint8Array(bytes);
      for (let i = 0; i < bytes; i += 4093) data[i] = i % 255;
      await all.send(1, 0, data);
    } else {
      const into = new Uint8Array(bytes);
      await all.receive(0, 0, into);
      for (let i = 0; i < bytes; i += 4093) if (into[i] !== i % 255) throw new Error(`byte ${i} has changed`);
    }
  },

  /** The last rank is silent; the others wait for it. */
  async silence(all) {
    all.timeout = 1;
    if (all.rank === all.size - 1) return new Promise((resolve) => setTimeout(resolve, 60_000));
    try {
      await all.receive(all.size - 1, 0, new Uint8Array(1));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      print(`rank ${all.rank} ${error.code}: ${error.message}\nhint: ${error.hint}`);
      if (all.rank === 0) setTimeout(() => all.abort(3), 500);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }
  },

  /** Rank 1 hangs before it ends MPI. */
  hang(all) {
    all.timeout = 2;
    print(`pid ${process.pid}`);
    if (all.rank === 1) process.kill(process.pid, 'SIGSTOP');
    return Promise.resolve();
  },

  /** Waits for a signal. */
  async wait(all) {
    print(`pid ${process.pid}`);
    await all.receive((all.rank + 1) % all.size, 0, new Uint8Array(1));
  },
};

try {
  const launch = detectLaunch(process.env);
  if (launch === undefined) throw new Error('no launcher');
  const all = await connectMpi(launch, process.env);
  await tasks[task](all);
  await all.close();
  print(`rank ${launch.rank} of ${all.size} on ${all.hosts[all.rank]}: ${all.library}, ${all.abi}, done`);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`error: ${error.code}: ${error.message}\nhint: ${error.hint}\n`);
  process.exit(1);
}
