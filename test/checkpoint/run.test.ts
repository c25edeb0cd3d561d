import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { createRun, resumeRun, type Run } from '../../src/checkpoint/run.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { saveCheckpoint as save, stateOf as state, tensors } from './run-fixtures.ts';
import { config, tokenizer } from './tiny-model.ts';
import { failure } from '../fixtures/failure.ts';

/** The value a model's numbers have. */
const valueOf = (folder: string): number => {
  const into = tensors();
  openModelFolder(folder).load(into);
  return into[0].data[0];
};

const root = mkdtempSync(join(tmpdir(), 'run-'));
const path = join(root, 'run');
const checkpoints = () => readdirSync(path).filter((file) => file.startsWith('checkpoint'));
const metrics = () => readFileSync(join(path, 'metrics.jsonl'), 'utf8');
beforeEach(() => rmSync(path, { recursive: true, force: true }));

test('a run consists of its best model, its log, and complete checkpoints', async () => {
  const run = createRun(path, config, tokenizer);
  expect(() => openModelFolder(path)).toThrow(failure('no-checkpoint'));
  run.log('metrics', { step: 5 });
  await run.saveBest(tensors(5), { step: '5' });
  await save(run, 5, { best_step: 5 });
  run.close();
  expect(readdirSync(path).sort()).toEqual([
    'checkpoint-5',
    'config.json',
    'generation_config.json',
    'metrics.jsonl',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  expect(valueOf(path)).toBe(5);
  expect(valueOf(join(path, 'checkpoint-5'))).toBe(5);
  expect(JSON.parse(readFileSync(join(path, 'checkpoint-5/gpt_trainer_state.json'), 'utf8'))).toMatchObject({
    format: 3,
    step: 5,
    log_bytes: { metrics: metrics().length, samples: 0 },
  });
  const moments = openSafetensors(join(path, 'checkpoint-5/optimizer.safetensors'));
  expect(moments.tensors.size).toBe(tensors().length);
  moments.close();
});

test('a run keeps its latest checkpoint and the last good one', async () => {
  const run = createRun(path, config, tokenizer);
  for (const step of [5, 10, 12, 14]) await save(run, step, { good_step: Math.min(step, 10) });
  expect(checkpoints()).toEqual(['checkpoint-10', 'checkpoint-14']);
  await save(run, 15, { good_step: 15 });
  expect(checkpoints()).toEqual(['checkpoint-15']);
  await save(run, 16, { good_step: 7 }); // one that could not be saved: the one before it is all there is
  expect(checkpoints()).toEqual(['checkpoint-16']);
  run.close();
});

test("what a user puts into a checkpoint outlives it, and is in nobody's way", async () => {
  const run = createRun(path, config, tokenizer);
  await save(run, 5, { good_step: 5 });
  writeFileSync(join(path, 'checkpoint-5/notes.txt'), 'mine');
  await save(run, 10, { good_step: 10 });
  run.close();
  expect(readdirSync(join(path, 'checkpoint-5.kept'))).toEqual(['notes.txt']);
  writeFileSync(join(path, 'checkpoint-5.kept/optimizer.safetensors'), ''); // as a kill leaves it
  const again = resumeRun(path);
  expect(again.checkpoint.state.step).toBe(10);
  again.continue().close();
  expect(readdirSync(join(path, 'checkpoint-5.kept'))).toEqual(['notes.txt']);
  createRun(path, config, tokenizer, { overwrite: true }).close();
  expect(checkpoints()).toEqual(['checkpoint-5.kept']);
  expect(readFileSync(join(path, 'checkpoint-5.kept/notes.txt'), 'utf8')).toBe('mine');
});

test('a checkpoint of the same step can be written after a rollback, whatever the user put there', async () => {
  const run = createRun(path, config, tokenizer);
  for (let time = 1; time <= 2; time++) {
    await save(run, 5, { good_step: 5 });
    await save(run, 7, { good_step: 5 });
    writeFileSync(join(path, 'checkpoint-7/notes.txt'), 'mine');
    expect(run.rollBack(5)?.state.step).toBe(5);
  }
  await save(run, 7, { good_step: 5 });
  run.close();
  expect(checkpoints()).toEqual(['checkpoint-5', 'checkpoint-7', 'checkpoint-7.kept', 'checkpoint-7.kept-1']);
});

test('files of the user in a checkpoint are none of its own, and may change', async () => {
  const run = createRun(path, config, tokenizer);
  await save(run, 5, { evaluation_due: true });
  writeFileSync(join(path, 'checkpoint-5/notes.txt'), 'mine');
  mkdirSync(join(path, 'checkpoint-5/plots'));
  await save(run, 5, { evaluation_due: false });
  run.close();
  writeFileSync(join(path, 'checkpoint-5/notes.txt'), 'changed');
  resumeRun(path).close();
});

test('a run is not replaced while its checkpoint has a file of the user', async () => {
  const run = createRun(path, config, tokenizer);
  await save(run, 5, { good_step: 5 });
  run.close();
  writeFileSync(join(path, 'checkpoint-5/notes.txt'), 'mine');
  expect(() => createRun(path, config, tokenizer, { overwrite: true })).toThrow(
    failure('output-exists', 'checkpoint-5/notes.txt'),
  );
  expect(checkpoints()).toEqual(['checkpoint-5']);
});

test('a rollback removes later checkpoints', async () => {
  const run = createRun(path, config, tokenizer);
  await save(run, 5, { good_step: 5 });
  await save(run, 7, { good_step: 5 });
  expect(run.rollBack(5)?.state.step).toBe(5);
  expect(checkpoints()).toEqual(['checkpoint-5']);
  await save(run, 7, { updates: 6, good_step: 5 }); // the same step, on another way
  expect(resumed(run).checkpoint.state.updates).toBe(6);
  expect(run.rollBack(4)).toBeUndefined();
  expect(checkpoints()).toEqual([]);
  run.close();

  function resumed(of: Run) {
    of.close();
    const again = resumeRun(path);
    again.continue();
    return again;
  }
});

describe('resuming', () => {
  test('removes old checkpoints that a killed process left behind', async () => {
    const run = createRun(path, config, tokenizer);
    await save(run, 5, { good_step: 5 });
    cpSync(join(path, 'checkpoint-5'), join(root, 'not-removed'), { recursive: true });
    await save(run, 10, { good_step: 10 });
    run.close();
    renameSync(join(root, 'not-removed'), join(path, 'checkpoint-5'));
    const again = resumeRun(path);
    again.continue();
    again.close();
    expect(checkpoints()).toEqual(['checkpoint-10']);
  });
  test('restores the best model and the log as of the checkpoint', async () => {
    const run = createRun(path, config, tokenizer);
    run.log('metrics', { step: 5 });
    await run.saveBest(tensors(5), { step: '5' });
    await save(run, 5, { best_step: 5 });
    run.log('metrics', { step: 6 });
    await run.saveBest(tensors(6), { step: '6' });
    appendFileSync(join(path, 'metrics.jsonl'), '{"step":7,"lo'); // and killed
    run.close();
    const again = resumeRun(path);
    again.continue().log('metrics', { step: 6, again: true });
    again.close();
    expect(valueOf(path)).toBe(5);
    expect(metrics()).toBe('{"step":5}\n{"step":6,"again":true}\n');
  });

  test('continues a truncated log, and starts a new one if it is missing', async () => {
    const run = createRun(path, config, tokenizer);
    run.log('metrics', { step: 4 });
    run.log('metrics', { step: 5 });
    await save(run, 5);
    run.close();
    writeFileSync(join(path, 'metrics.jsonl'), metrics().slice(0, 15));
    const go = (step: number): void => {
      const again = resumeRun(path);
      again.continue().log('metrics', { step });
      again.close();
    };
    go(6);
    expect(metrics()).toBe('{"step":4}\n{"step":6}\n');
    rmSync(join(path, 'metrics.jsonl'));
    go(6);
    expect(metrics()).toBe('{"step":6}\n');
  });

  test('counts the time of earlier invocations, whatever a killed one did after the checkpoint', async () => {
    const run = createRun(path, config, tokenizer);
    expect(run.elapsedBefore).toBe(0);
    run.log('metrics', { step: 5 }, 12.5);
    run.log('metrics', { step: 5, val_loss_estimate: 3 }, 9_999_999.1234);
    await save(run, 5);
    run.log('metrics', { step: 6 }, 12_345_678);
    run.close();
    const lines = metrics().split('\n');
    expect(lines.slice(0, 2)).toEqual([
      '{"step":5,"elapsed_seconds":      12.500}',
      '{"step":5,"val_loss_estimate":3,"elapsed_seconds": 9999999.123}',
    ]);
    expect(elapsedBefore()).toBe(9_999_999.123);
    // A log of an older version: the time of its steps is all there is.
    writeFileSync(join(path, 'metrics.jsonl'), metrics().replaceAll(/,"elapsed_seconds":[ \d.]+/g, ''));
    writeFileSync(
      join(path, 'speed.jsonl'),
      '{"step":4,"seconds":1.5,"tokens":8}\n{"step":5,"seconds":2}\n{"step":6,"seconds":4}\n',
    );
    expect(elapsedBefore()).toBe(3.5);

    function elapsedBefore(): number {
      const again = resumeRun(path);
      const { elapsedBefore: found } = again.continue();
      again.close();
      return found;
    }
  });

  test('reports damage of a log, and keeps all its lines up to the checkpoint', async () => {
    const run = createRun(path, config, tokenizer);
    for (const step of [3, 4, 5]) run.log('metrics', { step });
    await save(run, 5);
    run.log('metrics', { step: 6 });
    run.close();
    const log = join(path, 'metrics.jsonl');
    const go = (): readonly string[] => {
      const again = resumeRun(path);
      again.continue();
      again.close();
      return again.repairs;
    };
    writeFileSync(log, metrics().replace('{"step":4}', 'some garbage\n{"step":4}'));
    expect(go()).toEqual([`${log}: line 2 is damaged and was skipped`]);
    expect(metrics()).toBe('{"step":3}\nsome garbage\n{"step":4}\n{"step":5}\n');
    writeFileSync(log, '{"step":3}\n{"st');
    expect(go()).toEqual([`${log} was truncated; its last lines before this checkpoint are lost`]);
    rmSync(log);
    expect(go()).toEqual([`${log} was missing; it starts again at this checkpoint`]);
  });

  test('ignores half-written and half-removed checkpoints, and removes them', async () => {
    const run = createRun(path, config, tokenizer);
    await save(run, 5);
    run.close();
    for (const name of ['checkpoint-9.99999999.tmp', 'checkpoint-3.old.99999999.tmp'])
      mkdirSync(join(path, name));
    const again = resumeRun(path);
    expect(again.checkpoint.state.step).toBe(5);
    again.continue();
    expect(checkpoints()).toEqual(['checkpoint-5']);
    again.close();
  });

  test('works after the folder was copied or moved with its lock', async () => {
    const run = createRun(path, config, tokenizer);
    await run.saveBest(tensors(5), { step: '5' });
    await save(run, 5, { best_step: 5 });
    const copy = join(root, 'copy');
    cpSync(path, copy, { recursive: true }); // while the run still writes
    expect(existsSync(join(copy, 'run.lock'))).toBe(true);
    const again = resumeRun(copy);
    again.continue();
    again.close();
    expect(valueOf(copy)).toBe(5);
    run.close();
    renameSync(copy, join(root, 'moved'));
    resumeRun(join(root, 'moved')).close();
  });

  test('restores how the run ended', async () => {
    const run = createRun(path, config, tokenizer);
    await save(run, 5);
    run.log('metrics', { step: 5, end: 'finished' });
    run.close();
    const ended = () => {
      const again = resumeRun(path);
      again.close();
      return again.ended;
    };
    expect(ended()).toBe('finished');
    appendFileSync(join(path, 'metrics.jsonl'), '{"st');
    expect(ended()).toBeUndefined();
  });
});

describe('a failed save', () => {
  test('leaves the last checkpoint intact, and the log is completed later', async () => {
    const run = createRun(path, config, tokenizer);
    await save(run, 5);
    const hidden = join(root, 'hidden');
    renameSync(path, hidden); // a disk that is gone for a while
    run.log('metrics', { step: 6 });
    await expect(save(run, 6)).rejects.toThrow('ENOENT');
    renameSync(hidden, path);
    expect(resumeRunStep()).toBe(5);
    run.log('metrics', { step: 7 });
    await save(run, 7);
    expect(metrics()).toBe('{"step":6}\n{"step":7}\n');
    run.close();
    expect(resumeRunStep()).toBe(7);

    function resumeRunStep(): number {
      const text = readdirSync(path).find((file) => file.startsWith('checkpoint'))!;
      return Number(text.split('-')[1]);
    }
  });

  test('leaves no half-written files behind', async () => {
    const run = createRun(path, config, tokenizer);
    await save(run, 5);
    const broken = tensors().map(({ name, shape }) => ({
      name,
      shape,
      get data(): Float32Array {
        throw new Error('no more');
      },
    }));
    await expect(run.saveCheckpoint({ parameters: tensors(), moments: broken }, state(6))).rejects.toThrow(
      'no more',
    );
    expect(checkpoints()).toEqual(['checkpoint-5']);
    run.close();
  });
});

test('a new run does not overwrite another without --overwrite', async () => {
  const run = createRun(path, config, tokenizer);
  await run.saveBest(tensors(), {});
  expect(() => createRun(path, config, tokenizer, { overwrite: true })).toThrow(failure('folder-in-use'));
  run.close();
  expect(() => createRun(path, config, tokenizer)).toThrow(failure('output-exists'));
  createRun(path, config, tokenizer, { overwrite: true }).close();
  expect(readdirSync(path)).not.toContain('model.safetensors');
});

test('a run stops writing when another process has taken its folder', async () => {
  const run = createRun(path, config, tokenizer);
  await save(run, 5);
  rmSync(join(path, 'run.lock'));
  await expect(save(run, 6)).rejects.toThrow(failure('folder-in-use', path, 'run.lock'));
  const other = resumeRun(path);
  writeFileSync(join(path, 'run.lock'), '{"pid":1,"host":"elsewhere"}');
  await expect(save(run, 6)).rejects.toThrow(failure('folder-in-use', 'process 1'));
  other.close(); // not its own any more: left alone
  expect(existsSync(join(path, 'run.lock'))).toBe(true);
});
