/**
 * A rank that trains one run after the other.
 *
 *     mpirun -n 3 node test/mpi/train-all.ts FOLDER
 *
 * FOLDER/runs.json has the options by name; rank 0 writes each run to FOLDER/RANKS-INDEX.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Communicator } from '../../src/collective/communicator.ts';
import { detectLaunch } from '../../src/collective/launch.ts';
import { connectMpi } from '../../src/collective/mpi/connect.ts';
import { lazyBackend } from '../../src/engine/backend.ts';
import { follow } from '../../src/train/ranks/follow.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';

const folder = process.argv[2];
const runs = JSON.parse(readFileSync(join(folder, 'runs.json'), 'utf8')) as Record<string, TrainModelOptions>;

const ranks = await connectMpi(detectLaunch(process.env)!, process.env);
/** Stays open after a run. */
const lasting: Communicator = {
  rank: ranks.rank,
  size: ranks.size,
  hosts: ranks.hosts,
  threads: 1,
  timeout: 60,
  send: (to, tag, data) => ranks.send(to, tag, data),
  receive: (from, tag, into) => ranks.receive(from, tag, into),
  progress: () => ranks.progress(),
  close: () => Promise.resolve(),
  abort: (code) => ranks.abort(code),
};
for (const [i, options] of Object.values(runs).entries()) {
  if (ranks.rank === 0)
    await trainModel({ ...options, outDir: join(folder, `${ranks.size}-${i}`) }, {}, lasting);
  else {
    const engine = lazyBackend({ threads: 1, profile: false });
    await follow(lasting, engine);
    await engine.close();
  }
}
await ranks.close();
