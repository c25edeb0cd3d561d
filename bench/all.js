/**
 * All measurements, as one table: `npm run bench`. Writes bench/results.md and bench/results.json.
 *
 *     npm run bench [-- --rounds 5 --corpus data/moby-dick.txt --python .venv/bin/python]
 *
 * It takes about half an hour on two cores, and the Python of `npm run test:interop`.
 */
import { writeFileSync } from 'node:fs';
import { machine, readArguments, tableOf } from './common.js';
import { measureLimits } from './limits.js';
import { measureLora } from './lora.js';
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
writeFileSync(new URL('results.md', import.meta.url), text);
const record = { machine: here, rounds: options.rounds, rows };
writeFileSync(new URL('results.json', import.meta.url), `${JSON.stringify(record, undefined, 2)}\n`);
process.stdout.write(text);
