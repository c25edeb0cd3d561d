import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from './run.ts';

const folder = mkdtempSync(join(tmpdir(), 'resume-'));
const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
const text = Array.from(
  { length: 300 },
  (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]}.\n`,
).join('');
const flags = (
  '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --dropout 0.2 ' +
  '--gradient-accumulation-steps 2 --eval-interval 7 --eval-iters 2 --lr-decay-iters 60 --warmup-iters 5'
).split(' ');
const gpt = (line: string) => run(line.split(' '), { cwd: folder });
const start = (name: string, more: string) =>
  gpt(`train corpus.txt ${flags.join(' ')} -q -o ${name} ${more}`);

/** Every byte that a run leaves, by file, but for the times its steps took. */
function bytesOf(name: string): Record<string, string> {
  const files = readdirSync(join(folder, name), { recursive: true, withFileTypes: true }).filter(
    (f) => f.isFile() && f.name !== 'speed.jsonl',
  );
  return Object.fromEntries(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [path.slice(join(folder, name).length), readFileSync(path, 'latin1')];
    }),
  );
}

beforeAll(async () => {
  writeFileSync(join(folder, 'corpus.txt'), text);
  for (const optimizer of ['adamw', 'sgd'])
    await start(`straight-${optimizer}`, `--max-iters 60 --optimizer ${optimizer}`);
});

describe('a run in pieces ends with the very same bytes as one in one piece', () => {
  test.each(['adamw', 'sgd'])('%s, stopped at steps that are and are not evaluated', async (optimizer) => {
    const name = `pieces-${optimizer}`;
    await start(name, `--max-iters 9 --optimizer ${optimizer} --threads 1`);
    for (const [steps, threads] of [
      [21, 2],
      [22, 3],
      [60, 1],
    ]) {
      const { stderr, code } = await gpt(
        `train --resume ${name} --max-iters ${steps} --threads ${threads} -q`,
      );
      expect(stderr).toBe('');
      expect(code).toBe(0);
    }
    const [pieces, straight] = [bytesOf(name), bytesOf(`straight-${optimizer}`)];
    expect(Object.keys(straight).length).toBeGreaterThan(15);
    for (const file of Object.keys(straight)) expect(pieces[file] === straight[file], file).toBe(true);
  });

  test('killed at any moment', async () => {
    for (let i = 0; i < 3; i++) {
      const name = `killed-${i}`;
      let seen = 0;
      await run(['train', 'corpus.txt', ...flags, '-o', name, '--max-iters', '60', '--sample-tokens', '0'], {
        cwd: folder,
        onOutput: (output, signal) => {
          const evaluations = output.split('val ').length - 1;
          if (evaluations > i + 1 && seen++ === 0) signal('SIGKILL');
        },
      });
      const { stderr, code } = await gpt(`train --resume ${name} -q`);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      const [resumed, straight] = [bytesOf(name), bytesOf('straight-adamw')];
      for (const file of Object.keys(straight))
        if (!file.endsWith('trainer_state.json')) expect(resumed[file] === straight[file], file).toBe(true);
      expect(JSON.parse(resumed['/checkpoint-60/trainer_state.json'])).toMatchObject({
        step: 60,
        tokens_seen: 60 * 64,
      });
    }
  });
});

describe('resuming', () => {
  test('takes the newest run by default, says where it goes on, and what the schedule does', async () => {
    cpSync(join(folder, 'straight-adamw'), join(folder, 'checkpoints/copied'), { recursive: true });
    const { stderr, code } = await gpt('train --resume --max-iters 65 --sample-tokens 0');
    expect(code).toBe(0);
    expect(stderr).toContain('Going on from step 60.');
    expect(stderr).toContain('The learning rate stays at 0.0001 from step 60 on');
    expect(readdirSync(join(folder, 'checkpoints/copied'))).toContain('checkpoint-65');
  });

  test.each([
    ['a finished run', '--resume straight-adamw', 2, 'the run has done its 60 steps'],
    [
      'other options',
      '--resume straight-adamw --max-iters 70 --n-layer 2 --seed 5',
      2,
      '--n-layer is 2, but the run has 1',
    ],
    [
      'another text',
      'other.txt --resume straight-adamw --max-iters 70',
      1,
      'other.txt is not the text the run was started with',
    ],
    ['no such run', '--resume nowhere', 1, 'there is no run nowhere'],
    ['nothing at all', '', 2, 'no text was given'],
  ])('refuses %s', async (_name, line, code, message) => {
    writeFileSync(join(folder, 'other.txt'), `${text}more`);
    const result = await gpt(`train ${line}`.trim());
    expect(result.stderr).toContain(message);
    expect(result.code).toBe(code);
  });

  test('--force goes on with other options', async () => {
    cpSync(join(folder, 'straight-adamw'), join(folder, 'forced'), { recursive: true });
    const { stderr, code } = await gpt('train --resume forced --max-iters 62 --learning-rate 0.5 --force -q');
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
