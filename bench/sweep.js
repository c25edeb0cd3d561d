/**
 * Bits per byte of `gpt train TEXT --tokenizer KIND --minutes M` for several texts and tokenizers, beside the Kneser–Ney 5-gram
 * of `gpt eval --baselines` on the same tokens. The last tenth of the characters, at most 500,000, becomes a separate file
 * (--val-file), so that with every tokenizer the model is trained and evaluated on the same parts of the text.
 *
 *     npm run build && node bench/sweep.js TEXT… [--tokenizers char,word,bpe] [--minutes 3] [--seeds 1,2,3]
 *       [--flags='--arch qwen3 --optimizer muon'] [--gpt bin/gpt.js]…
 *
 * --flags are added to every `gpt train`. --gpt is the launcher of another version to measure; several take turns. Takes texts ×
 * tokenizers × versions × seeds × minutes, and about half a minute per text and tokenizer for the baselines.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdown } from './common.js';
import { machine } from './machine.js';
import { evaluateGpt, fail, mean, thisGpt, trainGpt, WrongUsage } from './runs.js';

/** Characters of the validation part. */
const [SHARE, MOST] = [0.1, 500_000];

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tokenizers: { type: 'string', default: 'char,word,bpe' },
      minutes: { type: 'string', default: '3' },
      seeds: { type: 'string', default: '1,2,3' },
      flags: { type: 'string', default: '' },
      gpt: { type: 'string', multiple: true, default: [thisGpt] },
    },
  });
  if (positionals.length === 0)
    throw new WrongUsage(
      'usage: node bench/sweep.js TEXT… [--tokenizers char,word,bpe] [--minutes 3] [--seeds 1,2,3]',
    );
  return {
    ...values,
    texts: positionals,
    tokenizers: values.tokenizers.split(','),
    seeds: values.seeds.split(','),
    flags: values.flags.split(' ').filter((word) => word !== ''),
  };
}

/** Writes the two parts of a text to files in `folder`. */
function splitText(text, folder) {
  const characters = Array.from(readFileSync(text, 'utf8'));
  const cut = characters.length - Math.min(MOST, Math.floor(SHARE * characters.length));
  const files = { train: join(folder, 'train.txt'), validation: join(folder, 'validation.txt') };
  writeFileSync(files.train, characters.slice(0, cut).join(''));
  writeFileSync(files.validation, characters.slice(cut).join(''));
  return files;
}

/** Trains with every seed, each version in turn. The baselines depend on text and tokens alone, so a version computes them once. */
async function measure({ gpt, minutes, seeds, flags }, { train, validation }, tokenizer, folder) {
  const run = join(folder, 'run');
  const versions = gpt.map((launcher) => ({ launcher, bits: [], steps: [], baseline: undefined }));
  for (const seed of seeds) {
    const given = [
      '--val-file',
      validation,
      '--tokenizer',
      tokenizer,
      '--minutes',
      minutes,
      '--seed',
      seed,
      ...flags,
    ];
    for (const version of versions) {
      const trained = await trainGpt(version.launcher, [train, ...given], run);
      const evaluated = await evaluateGpt(version.launcher, run, [
        validation,
        ...(version.baseline === undefined ? ['--baselines'] : []),
      ]);
      version.baseline ??= evaluated.baselines.kneser_ney_5gram.bits_per_byte;
      version.bits.push(evaluated.bits_per_byte);
      version.steps.push(trained.steps);
      rmSync(run, { recursive: true });
    }
  }
  return versions;
}

try {
  const options = readOptions();
  const rows = [];
  for (const text of options.texts) {
    const folder = mkdtempSync(join(tmpdir(), 'sweep-'));
    try {
      const files = splitText(text, folder);
      for (const tokenizer of options.tokenizers) {
        for (const { launcher, bits, steps, baseline } of await measure(options, files, tokenizer, folder)) {
          const cells = [...bits, mean(bits), baseline].map((value) => value.toFixed(3));
          const version = options.gpt.length > 1 ? [launcher] : [];
          const count = Math.round(mean(steps)).toLocaleString('en-US');
          rows.push([basename(text), tokenizer, ...version, ...cells, count]);
          process.stderr.write(`${rows.at(-1).join(' | ')}\n`);
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const { processor, cores } = machine();
  const columns = options.seeds.map((seed) => `seed ${seed}`);
  const version = options.gpt.length > 1 ? ['version'] : [];
  const head = ['text', 'tokenizer', ...version, ...columns, 'mean', 'Kneser–Ney 5-gram', 'steps'];
  process.stdout.write(`${processor}, ${cores} cores\n\n${markdown(head, rows)}\n`);
} catch (error) {
  fail(error);
}
