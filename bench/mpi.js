/**
 * Training on several ranks: two ranks of one thread beside one process with two threads, and beside PyTorch's
 * DistributedDataParallel on Gloo, all with the same model and the same sequences in a step.
 *
 *     npm run build && node bench/mpi.js [nano|baby …] [--rounds 5] [--mpirun mpirun] [--python .venv/bin/python]
 *
 * mpirun may be followed by arguments: --mpirun 'mpirun --map-by :OVERSUBSCRIBE'. The Node must have node:ffi (26.9).
 */
import { parseArgs } from 'node:util';
import { benchModels } from '../dist/measure/models.js';
import { alternate, count, markdown, medianOf, python, ranksOf, times } from './common.js';
import { machine } from './machine.js';
import { fail } from './runs.js';
import { shapeFlags, titles } from './training.js';

const RANKS = 2;
/** Sequences in a step, and steps in a turn. */
const work = { nano: { sequences: 24, steps: 20 }, baby: { sequences: 16, steps: 1 } };

async function measure(name, { rounds, mpirun, interpreter }) {
  const { sequences, steps } = work[name];
  const model = benchModels[name];
  const split = { model: name, batch: sequences / RANKS, 'micro-batches': RANKS };
  const whole = { model: name, batch: sequences, 'micro-batches': 1 };
  const contenders = [
    await ranksOf(`${RANKS} ranks of 1 thread`, [...mpirun, '-n', String(RANKS)], { ...split, threads: 1 }),
    await ranksOf('1 process, 2 threads, the same micro-batches', [], { ...split, threads: RANKS }),
    await ranksOf('1 process, 2 threads, one batch', [], { ...whole, threads: RANKS }),
  ];
  if (interpreter !== 'none')
    contenders.push(
      await python(`PyTorch DDP, ${RANKS} processes of 1 thread`, interpreter, 'pytorch_ddp.py', {
        ...shapeFlags(model),
        batch: sequences,
        ranks: RANKS,
      }),
    );
  const counts = contenders.map(() => steps);
  const answers = await alternate(contenders, counts, rounds);
  for (const contender of contenders) await contender.close();
  const seconds = answers.map((each) => medianOf(each, 'seconds') / steps);
  return contenders.map(({ name: who }, i) => [
    `${titles[name]}, ${sequences} × ${model.config.blockSize} tokens`,
    who,
    `${count((sequences * model.config.blockSize) / seconds[i])} tokens/s`,
    i === 0 ? '' : times(seconds[i] / seconds[0]),
  ]);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      mpirun: { type: 'string', default: 'mpirun' },
      python: { type: 'string', default: '.venv/bin/python' },
    },
  });
  const given = {
    rounds: Number(values.rounds),
    mpirun: values.mpirun.split(' '),
    interpreter: values.python,
  };
  const rows = [];
  for (const name of positionals.length > 0 ? positionals : Object.keys(work))
    rows.push(...(await measure(name, given)));
  const { processor, cores, node } = machine();
  process.stdout.write(`${processor}, ${cores} cores, Node ${node}\n\n`);
  process.stdout.write(`${markdown(['model and step', 'contender', 'speed', 'ranks against it'], rows)}\n`);
}

try {
  await main();
} catch (error) {
  fail(error);
}
