import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { STATE } from '../../src/checkpoint/checkpoint-folders.ts';
import { lockFolder } from '../../src/checkpoint/lock.ts';
import { writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { readTrainerState, trainerStateText } from '../../src/checkpoint/trainer-state.ts';
import { config, tokenizer } from '../checkpoint/tiny-model.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import { whaleText } from '../fixtures/whale-text.ts';
import { commandsIn, expectRefusal, type Refusal } from './in-process.ts';
import type { RunOptions } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'resume-'));
const text = whaleText(300);
const flags =
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --dropout 0.2 ' +
  '--gradient-accumulation-steps 2 --eval-interval 7 --eval-iters 2 --lr-decay-iters 60 --warmup-iters 5 ' +
  '--sample-tokens 0';
const gpt = commandsIn(folder);
const start = (name: string, more = '', options?: RunOptions) =>
  gpt(`train corpus.txt ${flags} --max-iters 60 -o ${name} ${more}`.trim(), options);
const expectSame = (a: string, b: string): void =>
  expect(differences(bytesOf(join(folder, a)), bytesOf(join(folder, b)))).toEqual([]);
const copy = (name: string): string => {
  cpSync(join(folder, 'straight'), join(folder, name), { recursive: true });
  return name;
};

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  writeFileSync(join(folder, 'other.txt'), `${text}more`);
  await start('straight', '-q');
});

describe('a resumed run ends with the same bytes as an uninterrupted one', () => {
  test('killed after an evaluation', async () => {
    let killed = false;
    await start('killed', '', {
      onOutput: (output, signal) => {
        if (killed || !output.includes('step 21 ')) return;
        killed = true;
        signal('SIGKILL');
      },
    });
    expect(await gpt('train --resume killed -q')).toMatchObject({ stderr: '', code: 0 });
    expectSame('killed', 'straight');
  });

  test.skipIf(process.platform === 'win32').each(['SIGINT', 'SIGTERM'] as const)(
    'interrupted by %s, which saves first',
    async (name) => {
      let sent = false;
      const { stderr, signal } = await start(name, '--threads 1', {
        onOutput: (output, send) => {
          if (sent || !output.includes('step 1/60')) return;
          sent = true;
          send(name);
        },
      });
      expect(stderr).toMatch(/Ctrl-C again.*\n/);
      expect(stderr).toMatch(/Interrupted after \d+ steps?; [^]*gpt train --resume SIG/);
      expect(signal).toBe(name);
      expect(await gpt(`train --resume ${name} --threads 3 -q`)).toMatchObject({ stderr: '', code: 0 });
      expectSame(name, 'straight');
    },
  );

  test.skipIf(process.platform === 'win32')(
    'interrupted in the middle of a step, which leaves no trace',
    async () => {
      const name = copy('middle');
      let sent = false;
      const { stderr, signal } = await gpt(
        // Micro-batches without end: the step would take minutes.
        `train --resume ${name} --max-iters 90 --gradient-accumulation-steps 100000 --force`,
        {
          onOutput: (output, send) => {
            if (!sent && output.includes('Resuming from step 60')) setTimeout(send, 500, 'SIGINT');
            sent ||= output.includes('Resuming from step 60');
          },
        },
      );
      expect(stderr).toContain('Interrupted after 60 steps');
      expect(signal).toBe('SIGINT');
      const weights = (of: string): Uint8Array =>
        readFileSync(join(folder, of, 'checkpoint-60/model.safetensors'));
      expect(weights(name)).toEqual(weights('straight'));
    },
  );

  test('extended beyond its first --max-iters', async () => {
    await gpt(`train corpus.txt ${flags} --max-iters 40 -o longer -q`);
    expect(await gpt('train --resume longer --max-iters 60 -q')).toMatchObject({ stderr: '', code: 0 });
    expectSame('longer', 'straight');
  });
});

describe('resuming', () => {
  test('uses the newest run by default, and reports the step and the schedule', async () => {
    copy('checkpoints/copied');
    const { stderr, code } = await gpt('train --resume --max-iters 65 --lr-decay-iters 60');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^Resuming .*step 60\b/m);
    expect(stderr).toMatch(/\b0\.0001 .*step 60\b.*--lr-decay-iters 65 --force/);
    expect(readdirSync(join(folder, 'checkpoints/copied'))).toContain('checkpoint-65');
  });

  test('says how the learning rate of an extended run rises and decays again', async () => {
    const { stderr, code } = await gpt(`train --resume ${copy('extended')} --max-iters 100`);
    expect(code).toBe(0);
    expect(stderr).toMatch(/warms up again, from 0\.0001 to 0\.001\b.*\b2 steps.*to 0\.0001 at step 100\b/);
  });

  test('a run that was moved, with its text elsewhere', async () => {
    mkdirSync(join(folder, 'far'));
    renameSync(join(folder, copy('moving')), join(folder, 'far/away'));
    const line = 'train --resume away --max-iters 62 -q';
    const far = join(folder, 'far');
    await expectRefusal(
      line.split(' '),
      [1, 'text-unavailable', 'corpus.txt … gpt train path/to/corpus.txt --resume away'],
      far,
    );
    const named = await commandsIn(far)(line.replace('train', 'train ../corpus.txt'));
    expect(named).toMatchObject({ stderr: '', code: 0 });
  });

  test('warns if the run was computed by kernels that round differently', async () => {
    const path = join(folder, copy('elsewhere-computed'), 'checkpoint-60/gpt_trainer_state.json');
    const { format: _format, ...state } = readTrainerState(path);
    writeFileSync(path, trainerStateText({ ...state, engine: 'wasm other' }));
    const { stderr } = await gpt('train --resume elsewhere-computed --max-iters 61');
    expect(stderr).toMatch(/^warning: .*wasm other\b/m);
  });

  test('a run that read stdin needs its text on stdin again', async () => {
    const stdin = text;
    await gpt(`train - ${flags} --max-iters 9 -o piped -q`, { stdin });
    const line = 'train --resume piped --max-iters 10 -q';
    await expectRefusal(
      line.split(' '),
      [1, 'text-unavailable', 'cat corpus.txt | gpt train - --resume piped'],
      folder,
    );
    expect(await gpt(line.replace('train', 'train -'), { stdin })).toMatchObject({ stderr: '', code: 0 });
  });

  test.each<[name: string, line: string, ...Refusal]>([
    ['a finished run', '--resume straight', 2, 'nothing-to-do', '60', '--max-iters'],
    ['fewer steps than a run has', '--resume straight --max-iters 40', 2, 'nothing-to-do', '60'],
    [
      'other options',
      '--resume straight --max-iters 70 --beta1 0.5 --seed 5',
      2,
      'conflicting-options',
      '--beta1',
      '0.5',
      '0.9',
      '--seed',
      '1337',
      '--force',
    ],
    ['another text', 'other.txt --resume straight --max-iters 70', 1, 'text-changed', 'other.txt'],
    [
      'another validation text',
      '--resume straight --max-iters 70 --val-file other.txt',
      1,
      'text-changed',
      'other.txt',
    ],
    ['another folder', '--resume straight -o elsewhere', 2, 'conflicting-options', '--out-dir', '--resume'],
    ['--overwrite', '--resume straight --overwrite', 2, 'conflicting-options', '--overwrite', '--resume'],
    ['a run that does not exist', '--resume nowhere', 1, 'file-not-found', 'nowhere'],
    ['a run without a checkpoint', '--resume empty', 1, 'no-checkpoint', 'empty'],
    ['a wrong --save-every', 'corpus.txt --save-every 10x', 2, 'bad-option-value', '--save-every', '"10x"'],
    ['a command line without a text', '', 2, 'missing-argument'],
  ])('refuses %s', async (_name, line, ...refusal) => {
    mkdirSync(join(folder, 'empty'), { recursive: true });
    await expectRefusal(`train ${line}`.trim().split(' '), refusal, folder);
  });

  test('a run before its first checkpoint is being trained, or has to be started again', async () => {
    writeModelDescription(join(folder, 'young'), config, tokenizer);
    const refused = (...refusal: Refusal) =>
      expectRefusal('train --resume young'.split(' '), refusal, folder);
    const lock = lockFolder(join(folder, 'young'));
    await refused(1, 'folder-in-use', 'young');
    lock.release();
    await refused(1, 'no-checkpoint', 'young … before its first checkpoint … --overwrite');
  });

  test.each([
    '--n-layer 2',
    '--n-head 1',
    '--n-embd 32',
    '--block-size 8',
    '--activation relu',
    '--positions sinusoidal',
    '--norm post',
    '--tokenizer word',
    '--min-frequency 2',
    '--vocab-size 20',
    '--preset baby',
    '--init-from straight',
    '--optimizer sgd',
    '--n-inner 512',
    '--initialization fan-in',
  ])('refuses %s even with --force, and changes no file', async (flag) => {
    const before = bytesOf(join(folder, 'straight'));
    await expectRefusal(
      `train --resume straight --max-iters 70 ${flag} --force`.split(' '),
      [2, 'conflicting-options', ...flag.split(' ')],
      folder,
    );
    expect(differences(bytesOf(join(folder, 'straight')), before)).toEqual([]);
  });

  test('refuses a checkpoint whose options contradict its model', async () => {
    const name = copy('other-shape');
    const path = join(folder, name, 'checkpoint-60', STATE);
    const { options, ...state } = readTrainerState(path);
    writeFileSync(path, trainerStateText({ ...state, options: { ...options, nHead: 4 } }));
    await expectRefusal(
      `train --resume ${name} --max-iters 70 --force`.split(' '),
      [1, 'damaged-file', '"nHead"', '4', 'config.json', '2'],
      folder,
    );
  });

  test('with another dropout: config.json has the new value from then on', async () => {
    const name = copy('less-dropout');
    await gpt(`train --resume ${name} --max-iters 61 --dropout 0.1 --force -q`);
    for (const of of ['', 'checkpoint-61'])
      expect(JSON.parse(readFileSync(join(folder, name, of, 'config.json'), 'utf8'))).toMatchObject({
        resid_pdrop: 0.1,
      });
  });

  test('--force resumes with other options and another text', async () => {
    const name = copy('forced');
    const line = `train other.txt --resume ${name} --max-iters 62 --learning-rate 0.002 --force`;
    const { stderr, code } = await gpt(line);
    expect(stderr).toMatch(/text differs .*evaluated again.*early stopping/);
    expect(code).toBe(0);
    expect((await gpt(`train --resume ${name} --max-iters 63`)).stderr).not.toContain('text differs');
  });
});

test('a diverging run reports each fault, and ends with the first one', async () => {
  const wild = '--optimizer sgd --learning-rate 1e25 --grad-clip 0 --weight-decay 0 --schedule constant';
  const { stderr, code } = await start('wild', `${wild} --warmup-iters 0`);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^warning: step 2: .*not finite.*\n/m);
  expect(stderr).toMatch(/^warning: .*step 6: .*not finite.*\b0\.5 ×.*\b1 of 3\b/m);
  expect(stderr).toMatch(
    /^error: .*step 6\b.*\b3 rollbacks: .*not finite\nhint: .*--learning-rate 0\.001\b.*--warmup-iters\n$/m,
  );
});
