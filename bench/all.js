/**
 * Runs all benchmarks and makes one table: `npm run bench`. Writes bench/results/PROCESSOR-N-cores.md and .json.
 *
 *     npm run bench [-- --rounds 5 --corpus data/moby-dick.txt --python .venv/bin/python]
 *
 * It takes about half an hour on two cores and needs the Python of `npm run test:interop`.
 */
import { writeFileSync } from 'node:fs';
import { readArguments, tableOf } from './common.js';
import { measureLimits } from './limits.js';
import { measureLora } from './lora.js';
import { fileNameOf, machine } from './machine.js';
import { measureSampling } from './sampling.js';
import { measureTokenizing } from './tokenizing.js';
import { measureTraining } from './training.js';

const options = { ...readArguments(), models: [] };
const log = (line) => process.stderr.write(`${line}\n`);
const rows = [];
for (const measure of [measureTraining, measureLora, measureSampling, measureTokenizing, measureLimits])
  rows.push(...(await measure(options, log)));

const here = machine();
const missed = rows.filter(({ met }) => !met);
const text = `# Measured

${here.processor}, ${here.cores} cores, ${here.memory}; Node ${here.node}, ${here.system}. Contenders take turns, medians of
${options.rounds} rounds, by \`npm run bench\`.

${tableOf(rows)}

${missed.length === 0 ? 'All targets are met.' : `Missed: ${missed.map(({ work }) => work).join('; ')}.`}
`;
const record = { machine: here, rounds: options.rounds, rows };
for (const [ending, content] of [
  ['md', text],
  ['json', `${JSON.stringify(record, undefined, 2)}\n`],
])
  writeFileSync(new URL(`results/${fileNameOf(here)}.${ending}`, import.meta.url), content);
process.stdout.write(text);
