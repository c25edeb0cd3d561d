/**
 * Checks that two versions of the program are bit-identical. Trains small models with the older one on a single thread and
 * with the newer one on 1, 2 and 3, and compares every byte of the model, the optimizer's moments, the losses and the
 * samples. Runs with options that the older version lacks are compared with the newer version's run on one thread.
 *
 *     git worktree add ../before HEAD~1 && (cd ../before && npm ci)
 *     npm run build && node scripts/same-bits.js ../before [CHECKOUT]
 *
 * CHECKOUT is the newer version, by default the one this script belongs to. In both, dist/ must be up to date.
 * Exit code 0: bit-identical; 1: some bits differ; 2: wrong usage. Takes about a minute on two idle cores.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('..', import.meta.url));
const THREADS = [1, 2, 3];

/**
 * The runs cover each architecture, optimizer and tokenizer at least once, sizes that are not multiples of a vector or a
 * tile, and (the last one) activations large enough to be recomputed in the backward pass.
 */
const runs = {
  'pre-norm, AdamW, char': '--n-layer 2 --n-head 3 --n-embd 36 --block-size 29 --batch-size 5 --max-iters 12',
  'post-norm, ReLU, sinusoidal, SGD, word':
    '--norm post --activation relu --positions sinusoidal --optimizer sgd --learning-rate 0.1 ' +
    '--tokenizer word --rare-words unk ' +
    '--vocab-size 500 --n-layer 2 --n-head 2 --n-embd 24 --block-size 16 --batch-size 4 --max-iters 12',
  'dropout, AdamW, bpe':
    '--dropout 0.2 --tokenizer bpe --vocab-size 400 --beta2 0.95 --n-layer 3 --n-head 4 --n-embd 32 ' +
    '--block-size 32 --batch-size 6 --max-iters 10',
  'accumulation of 2, dropout, AdamW, char':
    '--gradient-accumulation-steps 2 --dropout 0.1 --norm post --n-layer 2 --n-head 2 --n-embd 32 ' +
    '--block-size 24 --batch-size 3 --max-iters 10',
  'accumulation of 5, exact GELU, SGD, bpe':
    '--gradient-accumulation-steps 5 --activation gelu --optimizer sgd --grad-clip 0.5 --tokenizer bpe ' +
    '--vocab-size 300 --n-layer 1 --n-head 2 --n-embd 40 --block-size 20 --batch-size 2 --max-iters 10',
  'llama, grouped queries, odd MLP, AdamW, char':
    '--arch llama --n-layer 2 --n-head 6 --n-kv-head 2 --head-size 10 --n-inner 37 --n-embd 30 --block-size 29 ' +
    '--batch-size 5 --max-iters 10',
  'qwen3, tied head, accumulation of 3, dropout, Muon, bpe':
    '--arch qwen3 --optimizer muon --tie-word-embeddings true --gradient-accumulation-steps 3 --dropout 0.1 ' +
    '--tokenizer bpe --vocab-size 300 --n-layer 2 --n-head 2 --n-embd 36 --block-size 33 --batch-size 3 --max-iters 10',
  'GPT-2, Muon, char':
    '--optimizer muon --n-layer 2 --n-head 3 --n-embd 36 --block-size 29 --batch-size 5 --max-iters 10',
  'large activations, AdamW, char':
    '--n-layer 2 --n-head 2 --n-embd 64 --block-size 128 --batch-size 16 --max-iters 4 --eval-iters 2',
};

/** Runs a command of a version; returns its output. */
function gpt(checkout, cwd, command) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GPT_')));
  const result = spawnSync(process.execPath, [join(checkout, 'bin/gpt.js'), ...command.split(' ')], {
    cwd,
    env,
  });
  if (result.status !== 0) throw new Error(`${checkout}: gpt ${command}\n${result.stderr.toString()}`);
  return result.stdout;
}

/** The result to compare with; undefined if the older version does not know an option or its value. */
function expectedFrom(checkout, flags) {
  try {
    return train(checkout, flags, 1);
  } catch (error) {
    if (/unknown option|is not one of/.test(error.message)) return undefined;
    throw error;
  }
}

/** Trains a model and samples from it. @returns the parts to compare, by name */
function train(checkout, flags, threads) {
  const folder = join(work, 'run');
  const sampled = `--threads ${threads} --unk replace -m run`;
  gpt(checkout, work, `train text.txt -o run --overwrite --sample-tokens 30 --threads ${threads} ${flags}`);
  const moments = readdirSync(folder).find((name) => name.startsWith('checkpoint-'));
  return {
    model: readFileSync(join(folder, 'model.safetensors')),
    optimizer: readFileSync(join(folder, moments, 'optimizer.safetensors')),
    losses: lossesIn(join(folder, 'metrics.jsonl')),
    samples: Buffer.concat([
      readFileSync(join(folder, 'samples.jsonl')),
      gpt(checkout, work, `sample ${sampled} --prompts prompts.txt --num-samples 2 -n 40 --seed 1`),
      gpt(checkout, work, `sample ${sampled} --prompt The --beams 3 -n 20`),
    ]),
  };
}

/** The lines of a log without times, and without token counts, which follow from the step and which older versions lack. */
const lossesIn = (path) =>
  Buffer.from(
    readFileSync(path, 'utf8').replaceAll(/,"tokens_seen":\d+,"elapsed_seconds":[ \d.]+(?=}$)/gm, ''),
  );

/** Describes a comparison; safetensors files may differ in their headers alone. */
function compared(name, before, after) {
  if (before.equals(after)) return 'same';
  if (name !== 'model' && name !== 'optimizer') return 'DIFFERENT';
  const numbers = (file) => file.subarray(8 + Number(file.readBigUInt64LE()));
  return numbers(before).equals(numbers(after)) ? 'header only' : 'DIFFERENT';
}

const [before, after = here] = process.argv.slice(2).map((path) => resolve(path));
if (before === undefined || ![before, after].every((path) => existsSync(join(path, 'dist/cli/main.js')))) {
  process.stderr.write('usage: node scripts/same-bits.js BEFORE [AFTER]   two checkouts with dist/ built\n');
  process.exit(2);
}

const work = mkdtempSync(join(tmpdir(), 'same-bits-'));
const columns = ['model', 'optimizer', 'losses', 'samples'];
const line = (cells) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
let differing = 0;
try {
  const text = readFileSync(join(here, 'data/moby-dick.txt'), 'utf8').slice(0, 60_000);
  writeFileSync(join(work, 'text.txt'), text);
  writeFileSync(join(work, 'prompts.txt'), 'The whale\nCall me\nA\n');
  line(['run', 'threads', ...columns]);
  line(['---', '---', ...columns.map(() => '---')]);
  for (const [name, flags] of Object.entries(runs)) {
    const old = expectedFrom(before, flags);
    const expected = old ?? train(after, flags, 1);
    for (const threads of THREADS) {
      const found = train(after, flags, threads);
      const cells = columns.map((part) => compared(part, expected[part], found[part]));
      differing += cells.filter((cell) => cell !== 'same').length;
      line([old === undefined ? `${name} (new)` : name, threads, ...cells]);
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.stdout.write(differing === 0 ? '\nall bits are the same\n' : `\n${differing} parts differ\n`);
process.exitCode = differing === 0 ? 0 : 1;
