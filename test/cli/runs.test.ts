/** `gpt list`, `gpt rm` and `gpt prune`. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { diskUse } from '../../src/checkpoint/disk-use.ts';
import { lockFolder } from '../../src/checkpoint/lock.ts';
import { formatAge } from '../../src/cli/runs/list.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { expectRefusal, runInProcess } from './in-process.ts';
import { hasTerminal, run } from './run.ts';

const root = mkdtempSync(join(tmpdir(), 'runs-'));
const kept = join(root, 'kept');
const folder = join(root, 'work');
const at = (...names: string[]): string => join(folder, ...names);
const gpt = (line: string) => runInProcess(line.split(' '), folder);

beforeAll(async () => {
  mkdirSync(kept);
  const corpus = [join(root, 'whale.txt')];
  writeFileSync(corpus[0], 'The whale, the sea, the ship.\n'.repeat(80));
  const shape = { nLayer: 1, nHead: 1, nEmbd: 16, blockSize: 8, batchSize: 4, evalInterval: 4, evalIters: 1 };
  const outDir = (name: string): string => join(kept, name);
  const base = { corpus, arch: 'qwen3', ...shape, maxIters: 8 } as const;
  await trainModel({ ...base, outDir: outDir('first'), emaDecay: 0.9 });
  await trainModel({ corpus, initFrom: outDir('first'), outDir: outDir('tuned'), maxIters: 2, evalIters: 1 });
  await trainModel({
    corpus,
    initFrom: outDir('first'),
    outDir: outDir('adapter'),
    maxIters: 2,
    loraRank: 2,
  });
  let steps = 0;
  const event = (found: TrainEvent): void => void (found.type === 'step' && steps++);
  await trainModel({ ...base, outDir: outDir('stopped') }, { event, interrupted: () => steps === 6 });
}, 60_000);

/** In the order of their names, the newest last. */
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  cpSync(kept, at('checkpoints'), { recursive: true });
  const config = at('checkpoints/adapter/adapter_config.json');
  writeFileSync(config, readFileSync(config, 'utf8').replace(join(kept, 'first'), '../first'));
  const start = Date.now() / 1000 - 3 * 86_400;
  for (const [i, name] of ['first', 'tuned', 'adapter', 'stopped'].entries())
    for (const entry of readdirSync(at('checkpoints', name), { recursive: true }))
      utimesSync(at('checkpoints', name, String(entry)), start + 3600 * i, start + 3600 * i);
});

const names = () => readdirSync(at('checkpoints')).toSorted();
/** All bytes below a folder. */
const content = (path: string): Map<string, string> =>
  new Map(
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [file, readFileSync(file, 'latin1')]),
  );

interface Listed {
  readonly runs: readonly Readonly<Record<string, unknown>>[];
}
const listed = async (args = ''): Promise<Listed['runs']> =>
  (JSON.parse((await gpt(`list --json ${args}`.trim())).stdout) as Listed).runs;

describe('gpt list', () => {
  test('shows the runs, newest first, with size, loss, steps, age, state and origin', async () => {
    const { stdout, stderr, code } = await gpt('list');
    expect(code).toBe(0);
    const [head, ...rows] = stdout.trimEnd().split('\n');
    expect(head.trim().split(/  +/)).toEqual(['name', 'size', 'val loss', 'steps', 'age', 'state', 'from']);
    const cells = rows.map((row) => row.trim().split(/  +/));
    expect(cells.map(([name]) => name)).toEqual(['stopped', 'adapter', 'tuned', 'first']);
    expect(cells[3].slice(3)).toEqual(['8', '3 days', 'finished', 'whale.txt']);
    expect(cells[3][1]).toMatch(/^\d+(\.\d+)? kB$/);
    expect(cells[3][2]).toMatch(/^\d\.\d{4}$/);
    expect(cells[0].slice(5)).toEqual(['unfinished', 'whale.txt']);
    expect(cells[0][2]).toMatch(/^≈|–/);
    expect(cells[1].at(-1)).toBe('whale.txt · adapter of ../first');
    expect(cells[2].at(-1)).toBe(`whale.txt · from ${join(kept, 'first')}`);
    expect(stderr.trim()).toMatch(/^4 runs, /);
    // All start in the same column.
    const column = head.indexOf('from');
    expect(new Set(rows.map((row) => row.indexOf('whale.txt')))).toEqual(new Set([column]));
  });

  test('prints JSON with the numbers of the run', async () => {
    const runs = await listed();
    const first = runs.find(({ name }) => name === 'first')!;
    const result = JSON.parse((await gpt('inspect first --json')).stdout) as {
      training: { val_loss: number };
    };
    expect(first).toMatchObject({
      folder: 'checkpoints/first',
      state: 'finished',
      damage: null,
      pruned: false,
      steps: 8,
      val_loss: result.training.val_loss,
      corpus: [join(root, 'whale.txt')],
      init_from: null,
    });
    // The copy of the best model in the checkpoint is a link to it in a run, and was copied here.
    expect(first['bytes']).toBe(diskUse([at('checkpoints/first')]).bytes);
    expect(runs.find(({ name }) => name === 'adapter')).toMatchObject({ base: '../first' });
  });

  test('shows what is damaged, being trained, or not a run here, and leaves out what is no model', async () => {
    const state = at('checkpoints/first/checkpoint-8/gpt_trainer_state.json');
    writeFileSync(state, readFileSync(state, 'utf8').replace('"step": 8', '"step": 9'));
    writeFileSync(at('checkpoints/tuned/config.json'), '{');
    const lock = lockFolder(at('checkpoints/stopped'));
    mkdirSync(at('checkpoints/photos'));
    writeFileSync(at('checkpoints/photos/cat.png'), '');
    writeFileSync(at('checkpoints/notes.txt'), '');
    mkdirSync(at('checkpoints/gpt2'));
    for (const file of [
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'generation_config.json',
      'model.safetensors',
    ])
      cpSync(at('checkpoints/adapter/../first', file), at('checkpoints/gpt2', file));
    mkdirSync(at('checkpoints/new'));
    cpSync(at('checkpoints/first/config.json'), at('checkpoints/new/config.json'));
    const runs = await listed();
    lock.release();
    expect(Object.fromEntries(runs.map(({ name, state: shown }) => [name, shown]))).toEqual({
      first: 'damaged',
      tuned: 'damaged',
      adapter: 'finished',
      stopped: 'training',
      gpt2: 'model',
      new: 'no model yet',
    });
    expect(runs.find(({ name }) => name === 'first')!['damage']).toContain('gpt_trainer_state.json');
    expect(runs.find(({ name }) => name === 'tuned')!['damage']).toContain('config.json');
    expect((await gpt('list')).stdout).toMatch(/damaged +checkpoints\/first\/checkpoint-8/);
  });

  test('takes a folder of runs, or a run', async () => {
    expect((await listed('checkpoints/first')).map(({ name }) => name)).toEqual(['first']);
    cpSync(at('checkpoints'), at('models'), { recursive: true });
    rmSync(at('models/tuned'), { recursive: true });
    expect((await listed('models')).map(({ name }) => name)).toHaveLength(3);
    await expectRefusal(['list', 'nowhere'], [1, 'file-not-found', 'nowhere'], folder);
    await expectRefusal(['list', '../whale.txt'], [1, 'wrong-file-kind', 'whale.txt'], folder);
    rmSync(at('checkpoints'), { recursive: true });
    expect(await gpt('list')).toMatchObject({ code: 0, stdout: '' });
    expect(await listed()).toEqual([]);
  });

  test.skipIf(!hasTerminal)('fits a terminal, and prints no control characters of a name', async () => {
    const evil = `evil\u001b[2J${'long'.repeat(20)}`;
    cpSync(at('checkpoints/first'), at('checkpoints', evil), { recursive: true });
    const { stdout } = await run(['list'], { cwd: folder, tty: true });
    expect(stdout).not.toContain('\u001b[2J');
    const lines = stripVTControlCharacters(stdout).split(/\r?\n/);
    expect(lines.filter((line) => /finished/.test(line))).toHaveLength(5);
    for (const line of lines) expect(line.replace(/.*…(?=  name)/, '').length, line).toBeLessThanOrEqual(80);
  });

  test.each([
    [-5, 'now'],
    [59, 'now'],
    [60, '1 min'],
    [7199, '1 h'],
    [86_400, '1 day'],
    [400 * 86_400, '1 year'],
  ])('an age of %d seconds is "%s"', (seconds, shown) => expect(formatAge(seconds)).toBe(shown));
});

test('gpt list counts a run once that a link names too', async () => {
  const total = async (): Promise<string> => /runs, (.*)$/m.exec((await gpt('list')).stderr)![1];
  const before = await total();
  symlinkSync('first', at('checkpoints/link'));
  expect(await total()).toBe(before);
});

describe('gpt rm', () => {
  test('deletes runs with --yes, by path or by name, and says what is freed', async () => {
    const { freed } = diskUse([at('checkpoints/tuned'), at('checkpoints/stopped')]);
    const { stdout, stderr, code } = await gpt('rm tuned checkpoints/stopped/ tuned --yes --json');
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      deleted: [{ folder: 'checkpoints/tuned' }, { folder: 'checkpoints/stopped/' }],
      freed_bytes: freed,
    });
    expect(names()).toEqual(['adapter', 'first']);
  });

  test('names the adapters that need a deleted base', async () => {
    const { stderr } = await gpt('rm first --yes');
    expect(stderr).toMatch(/warning: checkpoints\/adapter .*checkpoints\/first/);
    expect(names()).not.toContain('first');
  });

  test.each([
    [
      'a folder that is no run',
      () => mkdirSync(at('checkpoints/photos')),
      'checkpoints/photos/..',
      'wrong-file-kind',
    ],
    ['a file', () => writeFileSync(at('checkpoints/notes'), ''), 'notes', 'wrong-file-kind'],
    ['a checkpoint', () => {}, 'checkpoints/first/checkpoint-8', 'wrong-file-kind'],
    ['nothing', () => {}, 'frist', 'file-not-found'],
    ['a link', () => symlinkSync('first', at('checkpoints/link')), 'checkpoints/link', 'symbolic-link'],
    [
      'a link with a slash',
      () => symlinkSync('first', at('checkpoints/link')),
      'checkpoints/link/',
      'symbolic-link',
    ],
    [
      'other files in it',
      () => writeFileSync(at('checkpoints/first/notes.txt'), ''),
      'first',
      'output-exists',
    ],
    ['other folders in it', () => mkdirSync(at('checkpoints/first/plots')), 'first', 'output-exists'],
    [
      'other files in its checkpoints',
      () => writeFileSync(at('checkpoints/first/checkpoint-8/notes.txt'), ''),
      'first',
      'output-exists',
    ],
    [
      'folders in its checkpoints',
      () => mkdirSync(at('checkpoints/first/checkpoint-8/plots')),
      'first',
      'output-exists',
    ],
    [
      'a README that was edited',
      () => writeFileSync(at('checkpoints/first/README.md'), 'mine'),
      'first',
      'output-exists',
    ],
  ] as const)('refuses %s, and deletes nothing', async (_what, prepare, name, code) => {
    prepare();
    const before = content(folder);
    await expectRefusal(['rm', 'tuned', name, '--yes'], [1, code, name.split('/')[1] ?? name], folder);
    expect(content(folder)).toEqual(before);
  });

  test('refuses a run that is being trained', async () => {
    const lock = lockFolder(at('checkpoints/first'));
    await expectRefusal(['rm', 'first', '--yes'], [1, 'folder-in-use', 'first'], folder);
    await expectRefusal(['prune', 'first', '--yes'], [1, 'folder-in-use', 'first'], folder);
    lock.release();
    expect(names()).toContain('first');
  });

  test('does not follow links in a run', async () => {
    mkdirSync(at('precious'));
    writeFileSync(at('precious/file'), 'kept');
    rmSync(at('checkpoints/first/samples.jsonl'), { force: true });
    symlinkSync(at('precious/file'), at('checkpoints/first/samples.jsonl'));
    rmSync(at('checkpoints/first/checkpoint-8/config.json'));
    symlinkSync(at('precious/file'), at('checkpoints/first/checkpoint-8/config.json'));
    expect(await gpt('rm first --yes')).toMatchObject({ code: 0 });
    expect(readFileSync(at('precious/file'), 'utf8')).toBe('kept');
  });

  test('without a terminal, --yes is needed', async () => {
    const { code, stderr } = await runInProcess(['rm', 'first'], folder, '');
    expect(code).toBe(2);
    expect(stderr).toContain('--yes');
    expect(names()).toContain('first');
  });

  test.skipIf(!hasTerminal)('asks on a terminal, and only yes deletes', async () => {
    const ask = (answer: string) =>
      run(['rm', 'first'], { cwd: folder, tty: true, keys: [['[y/N]', `${answer}\r`]] });
    for (const answer of ['', 'n', 'yess']) {
      expect(await ask(answer)).toMatchObject({ code: 0 });
      expect(names()).toContain('first');
    }
    const { stdout } = await ask('y');
    expect(stdout).toMatch(/Delete this run and free \d+(\.\d+)? kB\?/);
    expect(names()).not.toContain('first');
  });

  test('removes what a killed deletion left, which no command takes for a run', async () => {
    const left = at('checkpoints/.first.99999999.gpt-deleted');
    cpSync(at('checkpoints/first'), left, { recursive: true });
    const living = at(`checkpoints/.first.${process.ppid}.gpt-deleted`);
    mkdirSync(living);
    expect((await listed()).map(({ name }) => name)).toHaveLength(4);
    expect((await gpt('compare --json')).stdout).not.toContain('gpt-deleted');
    await gpt('rm tuned --yes');
    expect(existsSync(left)).toBe(false);
    expect(existsSync(living)).toBe(true);
  });
});

describe('gpt prune', () => {
  const model = () => readFileSync(at('checkpoints/first/model.safetensors'));

  test('deletes the checkpoints of finished runs; the models stay and work', async () => {
    const before = model();
    const size = diskUse([at('checkpoints')]).bytes;
    const dry = await gpt('prune --dry-run --json');
    expect(diskUse([at('checkpoints')]).bytes).toBe(size);
    const { stdout, code } = await gpt('prune --yes --json');
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as { freed_bytes: number; pruned: { folder: string }[] };
    expect(result.pruned.map((pruned) => pruned.folder).toSorted()).toEqual(
      ['adapter', 'first', 'tuned'].map((name) => `checkpoints/${name}`),
    );
    expect(JSON.parse(dry.stdout)).toEqual({ ...result, dry_run: true });
    // The mark in the state is all that is added.
    const freed = size - diskUse([at('checkpoints')]).bytes;
    expect(result.freed_bytes - freed).toBeLessThan(3 * 30);
    expect(freed).toBeGreaterThan(size / 3);
    expect(model().equals(before)).toBe(true);
    expect(readdirSync(at('checkpoints/first/checkpoint-8'))).toEqual(['gpt_trainer_state.json']);
    expect(readdirSync(at('checkpoints/stopped')).some((name) => name.startsWith('checkpoint-'))).toBe(true);
    expect((await listed()).find(({ name }) => name === 'first')).toMatchObject({
      state: 'finished',
      pruned: true,
    });
    expect((await gpt('prune --yes')).stderr).toContain('nothing to prune');
  });

  test('a pruned run is sampled, evaluated, exported and reported as before', async () => {
    const commands = [
      'sample -m first --prompt The -n 10 --greedy --seed 1 --json',
      'eval -m first --split val --json',
      'inspect first --json',
      'compare first tuned --json',
      'report first --csv',
      'export first --dtype f32 -o model.gguf --json --force',
    ];
    const results = async () => {
      const found = [];
      for (const command of commands) {
        const { stdout, stderr, code } = await runInProcess(command.split(' '), folder);
        expect(code, stderr).toBe(0);
        found.push(stdout);
      }
      expect((await gpt('report first -o page.html')).code).toBe(0);
      return found;
    };
    const before = await results();
    expect((await gpt('prune first --yes')).code).toBe(0);
    expect(await results()).toEqual(before);
    expect((await gpt('prune first --yes')).stderr).toContain('Already pruned');
  });

  test('a pruned run is not resumed, and says why', async () => {
    await gpt('prune first adapter --yes');
    await expectRefusal(['train', '--resume', 'first'], [1, 'no-checkpoint', 'pruned … --init-from'], folder);
    await expectRefusal(
      ['train', '--resume', 'adapter'],
      [1, 'no-checkpoint', 'pruned … --init-from'],
      folder,
    );
    await expectRefusal(
      ['inspect', 'checkpoints/first/checkpoint-8'],
      [1, 'no-checkpoint', 'pruned … checkpoints/first'],
      folder,
    );
    // The newest run that can be resumed is another one, which is complete already but for its missing steps.
    expect((await gpt('train --resume -q --json')).stdout).toContain('"folder":"checkpoints/stopped"');
    expect((await gpt('rm first adapter --yes')).code).toBe(0);
    expect(names()).toEqual(['stopped', 'tuned']);
  });

  test('an unfinished run is pruned by name only', async () => {
    const { stderr } = await gpt('prune stopped --yes');
    expect(stderr).toContain('has not finished');
    await expectRefusal(['train', '--resume', 'stopped'], [1, 'no-checkpoint', 'pruned'], folder);
    expect(await gpt('sample -m stopped --prompt The -n 3 -q --json')).toMatchObject({ code: 0 });
  });

  test('a link is not followed, however it is named', async () => {
    symlinkSync(at('checkpoints/first'), at('checkpoints/link'));
    for (const command of ['rm', 'prune'])
      for (const name of ['link', 'link/', 'link/.'])
        await expectRefusal([command, `checkpoints/${name}`, '--yes'], [1, 'symbolic-link'], folder);
    rmSync(at('checkpoints/link'));
  });

  test('never deletes the last intact model', async () => {
    const weights = model();
    weights[weights.length - 1] ^= 1;
    writeFileSync(at('checkpoints/first/model.safetensors'), weights);
    const before = content(at('checkpoints/first'));
    await expectRefusal(['prune', 'first', '--yes'], [1, 'no-checkpoint', 'first … --resume'], folder);
    expect(content(at('checkpoints/first'))).toEqual(before);
  });

  test.each(['config.json', 'tokenizer.json'])('never deletes the last intact %s', async (file) => {
    rmSync(at('checkpoints/first', file));
    const before = content(at('checkpoints/first'));
    await expectRefusal(['prune', 'first', '--yes'], [1, 'no-checkpoint', 'first … --resume'], folder);
    expect(content(at('checkpoints/first'))).toEqual(before);
  });

  test('a run that diverged is pruned by name only', async () => {
    const log = at('checkpoints/first/metrics.jsonl');
    writeFileSync(log, readFileSync(log, 'utf8').replace('"end":"finished"', '"end":"diverged"'));
    expect((await gpt('prune --yes --json')).stdout).not.toContain('checkpoints/first');
    expect((await gpt('prune first --yes')).stderr).toContain('has not finished');
  });

  test('a run that was killed while it was pruned counts as pruned, and pruning it again deletes the rest', async () => {
    cpSync(at('checkpoints/first/checkpoint-8/model.safetensors'), at('model'));
    await gpt('prune first --yes');
    cpSync(at('model'), at('checkpoints/first/checkpoint-8/model.safetensors'));
    await expectRefusal(['train', '--resume', 'first'], [1, 'no-checkpoint', 'pruned'], folder);
    expect((await gpt('prune --yes --json')).stdout).toContain('checkpoints/first');
    expect(readdirSync(at('checkpoints/first/checkpoint-8'))).toEqual(['gpt_trainer_state.json']);
  });
});
