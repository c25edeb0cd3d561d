import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rangeOf } from '../../src/cli/tokenizer-gains.ts';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import { commandsIn, expectRefusal } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'plan-'));
writeFileSync(
  join(folder, 'corpus.txt'),
  'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60),
);
writeFileSync(join(folder, 'megabyte.txt'), 'Call me Ishmael. Some years ago.\n'.repeat(36_000));
const at = commandsIn(folder);

interface Plan {
  model: { parameters: number; parts: Record<string, number> };
  training: { steps: number; tokens: number; options: Record<string, unknown> };
  flops: number;
  here: { seconds: number; fits: boolean };
  devices: { name: string; peak_flops: number; years: number; dollars: number; seconds: number }[];
}
const json = async (args: string): Promise<Plan> => {
  const { stdout, stderr, code } = await at(`plan ${args} --json`);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Plan;
};

test('GPT-3 on one V100: about 355 years and $4.6 million, with what that assumes', async () => {
  const { stdout, stderr, code } = await at('plan --preset gpt3-175b --tokens 300e9');
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toMatch(/3\.14e23 FLOPs = 6 × 175B parameters × 300B tokens/);
  expect(stdout).toMatch(/V100 +112 TFLOP\/s +25% = 28 +\$1\.50 +355\.\d years +\$4\.\d+ million/);
  expect(stdout).toMatch(/MLP +115,970,015,232 +66\.4%/);
  expect(stdout).toMatch(/too large to train here/);
  expect(stdout).not.toMatch(/undefined|NaN/);
});

test('peak, utilization, price and device count of a plan can be changed', async () => {
  const base = '--preset nano --tokens 300e9';
  const [v100] = (await json(`${base} --device v100`)).devices;
  const [changed] = (await json(`${base} --device v100 --peak 56 --utilization 0.25 --price 3 --devices 10`))
    .devices;
  expect(changed.seconds).toBeCloseTo((v100.seconds * 2) / 10, -3);
  expect(changed.dollars / v100.dollars).toBeCloseTo(4, 6);
  const { devices, flops } = await json(`${base} --peak 1000 --flops-per-parameter 8`);
  expect(devices.map(({ name, peak_flops }) => [name, peak_flops])).toEqual([['yours', 1e15]]);
  expect(flops / (await json(base)).flops).toBeCloseTo(8 / 6, 12);
});

test('a plan without a text warns of its settings, as train does', async () => {
  const { stderr, code } = await at(
    'plan --preset nano --tokens 1e6 --optimizer sgd --beta1 0.8 --learning-rate 0.1 --min-lr 0.2',
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/--beta1 .*\bsgd\b/);
  expect(stderr).toMatch(/--min-lr 0.2 is above the learning rate/);
});

test('a plan suggests no other vocabulary for a model that exists, or for ids', async () => {
  await at(
    'train corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 1 --sample-tokens 0 -o base',
  );
  await at('tokenize megabyte.txt -o ids');
  for (const [args, advice] of [
    ['megabyte.txt', '--tokenizer bpe'],
    ['--preset nano --tokens 1e6', '--vocab-size changes it'],
  ])
    expect((await at(`plan ${args}`)).stdout).toContain(advice);
  for (const args of ['megabyte.txt --init-from base', 'ids/tokens.bin', '--init-from base --tokens 1e6']) {
    const { stdout, code } = await at(`plan ${args}`);
    expect(code, args).toBe(0);
    expect(stdout, args).not.toMatch(/--tokenizer|--vocab-size/);
  }
});

test('train follows the plan', async () => {
  const flags = 'corpus.txt --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --max-iters 10';
  const { training, model } = await json(flags);
  const trained = await at(`train ${flags} -q -o run`);
  expect(trained.code).toBe(0);
  const state = JSON.parse(
    readFileSync(join(folder, 'run/checkpoint-10/gpt_trainer_state.json'), 'utf8'),
  ) as {
    options: Record<string, unknown>;
    tokens_seen: number;
  };
  expect(training.tokens).toBe(state.tokens_seen);
  const { nLayer, maxIters, learningRate, batchSize, schedule, evalInterval } = state.options;
  expect(training.options).toMatchObject({
    n_layer: nLayer,
    max_iters: maxIters,
    learning_rate: learningRate,
    batch_size: batchSize,
    schedule,
    eval_interval: evalInterval,
  });
  expect(Object.values(model.parts).reduce((a, b) => a + b)).toBe(model.parameters);
});

test('a plan with --minutes fits the model to the time', async () => {
  const { training, here } = await json('corpus.txt --minutes 0.1');
  expect(training.options).toMatchObject({
    arch: 'qwen3',
    optimizer: 'muon',
    schedule: 'linear',
    n_embd: 64,
  });
  expect(training.steps).toBeGreaterThan(0);
  expect(here.fits).toBe(true);
});

test('a plan refuses a text that a run refuses', async () => {
  const tiny = '--n-layer 1 --n-head 1 --n-embd 8 --max-iters 10';
  writeFileSync(join(folder, 'letter.txt'), 'a');
  for (const [args, message] of [
    ['--val-fraction 0.9999', 'use a smaller --val-fraction'],
    ['--block-size 9000', '--block-size of 9000'],
    ['--block-size 16 --val-file letter.txt', 'the validation text is a single token'],
    ['--block-size 16 --document-mask', '--document-mask has no effect'],
  ]) {
    for (const command of ['plan', 'train']) {
      const { stderr, code } = await at(`${command} corpus.txt ${tiny} ${args}`);
      expect(code, `${command} ${args}`).toBe(2);
      expect(stderr, command).toContain(message);
    }
  }
  // With a number of tokens, the text may be a sample.
  expect(await at('plan corpus.txt --preset nano --block-size 9000 --tokens 1e6')).toMatchObject({ code: 0 });
});

test('a plan accepts the options of a run, whether or not they affect it', async () => {
  const { training } = await json(
    'corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 8 --max-iters 10 --patience 8 --eval-interval 5 --sample-tokens 0 --save-every 5 -o runs/a --overwrite --profile --rank-timeout 9',
  );
  expect(training.options).toMatchObject({ patience: 8, eval_interval: 5 });
  const { stdout } = await at('plan --help');
  for (const flag of ['--overwrite', '--profile', '--rank-timeout']) expect(stdout).not.toContain(flag);
});

test('a plan says "about" of a number of steps only if the clock decides it', async () => {
  const training = async (args: string): Promise<string> =>
    /^ *training .*$/m.exec((await at(`plan ${args}`)).stdout)![0];
  expect(await training('megabyte.txt --minutes 0.05')).toMatch(/training +about [\d,]+ steps? of /);
  const exact = /training +[\d,]+ steps of /;
  expect(await training('megabyte.txt --preset nano --max-iters 10')).toMatch(exact);
  expect(await training('megabyte.txt --tokens 1e6')).toMatch(exact);
  expect(await training('corpus.txt --minutes 60')).toMatch(exact); // ends after 80 epochs
});

test('the largest model is planned without allocating its memory', async () => {
  const before = process.resourceUsage().maxRSS;
  const { memoryBytes } = await forecastRun({ corpus: [], preset: 'gpt3-175b' }, { threads: 1 });
  expect(memoryBytes).toBeGreaterThan(2.7e12);
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(250_000); // kB
});

test.each([
  ['plan', 'missing-argument', '--preset'],
  ['plan --preset nano --minutes 5', 'missing-argument', '--minutes'],
  ['plan --preset nano --tokens 5 --max-iters 5', 'commander.conflictingOption', '--tokens', '--max-iters'],
  ['plan --preset nano --utilization 2', 'bad-option-value', '--utilization', '"2"'],
])('%s is refused', async (line, errorCode, ...mentioned) => {
  await expectRefusal(line.split(' '), [2, errorCode, ...mentioned], folder);
});

test('a plan for several hosts shows steps, speed-up and what is assumed of the network', async () => {
  const { stdout, code } = await at('plan --preset nano --max-iters 100 --hosts 6 --network 45us,0.5GB');
  expect(code).toBe(0);
  expect(stdout).toContain('On several hosts, over 45us,0.5GB');
  expect(stdout).toMatch(/^ +hosts +a step +computing +network +hidden +speed-up +efficiency +the run$/m);
  for (const hosts of [1, 2, 4, 6]) expect(stdout).toMatch(new RegExp(`^ +${hosts} +[\\d.]+ m?s .*×`, 'm'));
  expect(stdout).toContain('45 µs + n / 500 MB/s');
  const apart = await at('plan --preset nano --max-iters 100 --hosts 2 --sync-every 32');
  expect(apart.stdout).toMatch(/synchronized\s+every 32 steps/);
});

test('--network takes names, or a latency and a bandwidth', async () => {
  const network = async (text: string) => {
    const { stdout } = await at(`plan --preset nano --max-iters 100 --json --hosts 2 --network ${text}`);
    const { network: found } = JSON.parse(stdout) as { network: { latency: number; bandwidth: number } };
    return [found.latency, found.bandwidth].map((value) => Number(value.toPrecision(6)));
  };
  expect(await network('1gbit')).toEqual([100e-6, 117.5e6]);
  expect(await network('45us,1.1GB')).toEqual([45e-6, 1.1e9]);
  expect(await network('0.5ms,12MB/s')).toEqual([5e-4, 12e6]);
  for (const text of ['fast', '45us', '45us,0GB', '45,1GB'])
    await expectRefusal(
      ['plan', '--preset', 'nano', '--hosts', '2', '--network', text],
      [2, 'bad-option-value', '--network', '10gbit'],
    );
});

test('a plan says what other tokenizers are worth on a text of this size', async () => {
  const { stdout } = await at('plan megabyte.txt --preset nano --max-iters 10');
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
    '1% to 4% fewer with --tokenizer bpe, 4% to 5% fewer with --tokenizer word',
  );
});

test('a plan gives the gains measured on longer texts for a longer text', async () => {
  writeFileSync(join(folder, 'long.txt'), 'Call me Ishmael. Some years ago.\n'.repeat(130_000));
  const { stdout } = await at('plan long.txt --preset nano --max-iters 10');
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain('5% to 11% fewer with --tokenizer word');
});

test.each([
  [-0.0308, -0.0118, '1% to 3% fewer'],
  [-0.0504, -0.0496, '5% fewer'],
  [-0.0849, 0.0215, '8% fewer to 2% more'],
  [0.0112, 0.0389, '1% to 4% more'],
])('gains of a tokenizer from %d to %d are "%s"', (least, most, text) => {
  expect(rangeOf({ least, most })).toBe(text);
});

test('a plan names the head where it is not that of the architecture', async () => {
  const model = async (args: string): Promise<string> =>
    /^ *model .*$/m.exec((await at(`plan --preset nano --max-iters 100${args}`)).stdout)![0];
  expect(await model('')).not.toContain('head;');
  expect(await model(' --tie-word-embeddings false')).toMatch(/block 64, untied head; /);
  expect(await model(' --arch qwen3')).not.toContain('head;');
  expect(await model(' --arch qwen3 --tie-word-embeddings true')).toMatch(/block 64, tied head; /);
});

test('a plan describes the vocabulary, with special tokens apart from words', async () => {
  const { stdout } = await at(
    `plan corpus.txt --tokenizer word --special-tokens <|a|>,<|b|> --preset nano --max-iters 10`,
  );
  expect(stdout).toMatch(/^ +vocabulary +10 words, 22 characters, <unk>, and 2 special tokens$/m);
});

test('a plan gives the warnings about its text that a training run gives', async () => {
  writeFileSync(join(folder, 'han.txt'), '春眠不觉晓，处处闻啼鸟。\r\n'.repeat(100));
  const { stderr } = await at('plan han.txt --tokenizer word --max-iters 10 --min-lr 1');
  expect(stderr).toMatch(/^warning: --min-lr 1 is above the learning rate/m);
  expect(stderr).toMatch(/^warning: the text has Windows line ends .* < han\.txt > unix\.txt$/m);
  expect(stderr).toMatch(/^warning: most of the text is in Han script/m);
  const chosen = await at('plan han.txt --tokenizer word --minutes 0.05');
  expect(chosen.stderr).not.toContain('memorize');
  const given = await at('plan han.txt --preset baby --max-iters 1000');
  expect(given.stderr).toMatch(/^warning: .* the model will memorize the text/m);
  const sampled = await at('plan han.txt --preset baby --tokens 300e9 --optimizer sgd --beta1 0.5');
  expect(sampled.stderr).toMatch(/^warning: .*--beta1/m);
  expect(sampled.stderr).not.toContain('memorize'); // the text may be a sample of the one planned for
});

test('a plan gives the warnings of a training run on as many ranks', async () => {
  const warnings = async (args: string): Promise<string> =>
    (await at(`plan --preset nano --max-iters 100 ${args}`)).stderr;
  expect(await warnings('--reduce-dtype bf16')).toMatch(
    /^warning: --reduce-dtype has no effect in a single process\n$/,
  );
  expect(await warnings('--reduce-dtype bf16 --hosts 2')).toBe('');
  expect(await warnings('--hosts 5')).toMatch(
    /^warning: --batch-size makes 6 micro-batches a step for 5 ranks, .*\n$/,
  );
  // A batch that is chosen is a multiple of the ranks.
  const chosen = await at('plan corpus.txt --minutes 0.05 --hosts 16');
  expect(chosen).toMatchObject({ stderr: '', code: 0 });
  expect(chosen.stdout).toMatch(/^ +16 +[\d.]+ m?s .*×/m);
});

test('--network without --hosts is refused', async () => {
  await expectRefusal(
    ['plan', '--preset', 'nano', '--network', '1gbit'],
    [2, 'conflicting-options', '--network … --hosts'],
  );
});
