/** What a resumed run finds missing, damaged, exchanged or linked elsewhere: repaired from a good copy, or refused. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { modelFacts } from '../../src/checkpoint/model-folder.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { createRun, resumeRun } from '../../src/checkpoint/run.ts';
import { saveCheckpoint, tensors, writeTrainerOutput } from './run-fixtures.ts';
import { config, tokenizer } from './tiny-model.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { failure } from '../fixtures/failure.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';

const root = mkdtempSync(join(tmpdir(), 'restore-run-'));
const run = join(root, 'run');
const latest = join(run, 'checkpoint-8');
const best = join(latest, 'best.safetensors');
const weights = join(run, 'model.safetensors');

/** A run with its best model at step 5, which is a checkpoint too, and its latest checkpoint at step 8. */
beforeEach(async () => {
  rmSync(run, { recursive: true, force: true });
  const writer = createRun(run, config, tokenizer);
  writer.log('metrics', { step: 5 });
  await writer.saveBest(tensors(5), { step: '5', val_loss_estimate: '2.5' });
  const at5 = { best_step: 5, best_loss: 2.5, good_step: 5 };
  await saveCheckpoint(writer, 5, at5);
  await saveCheckpoint(writer, 8, at5);
  writer.close();
});

const valueOf = (folder: string): number => {
  const into = tensors();
  openModelFolder(folder).load(into);
  return into[0].data[0];
};
/** Overwrites a byte in place, in every hard link of the file. */
const damage = (path: string): void => {
  const bytes = readFileSync(path);
  bytes[bytes.length - 2] ^= 1;
  writeFileSync(path, bytes);
};
/** Gives a file bytes of its own. */
const unlinkFrom = (path: string): void => {
  const bytes = readFileSync(path);
  unlinkSync(path);
  writeFileSync(path, bytes);
};
const resume = (): readonly string[] => {
  const resumed = resumeRun(run);
  try {
    resumed.checkpoint.model.load(tensors());
    resumed.checkpoint.loadMoments(tensors());
    resumed.continue();
    return resumed.repairs;
  } finally {
    resumed.close();
  }
};
const inRun = (file: string): string => join(run, file);

test('an undamaged run needs no repair', () => {
  expect(resume()).toEqual([]);
  expect(valueOf(run)).toBe(5);
});

describe('a best model that is an average of the weights', () => {
  const average = join(latest, 'average.safetensors');

  beforeEach(async () => {
    rmSync(run, { recursive: true });
    const writer = createRun(run, config, tokenizer);
    writer.log('metrics', { step: 5 });
    await writer.saveBest(tensors(6), { step: '5', val_loss_estimate: '2.5', is_average: 'true' });
    const at5 = { best_step: 5, best_loss: 2.5, best_is_average: true, good_step: 5 };
    await saveCheckpoint(writer, 5, at5, 6);
    await saveCheckpoint(writer, 8, at5, 9);
    writer.close();
  });

  test('is restored from the average in the checkpoint of its step', () => {
    const whole = readFileSync(best);
    damage(best);
    const copy = inRun('checkpoint-5/average.safetensors');
    expect(resume()).toEqual([`${best} was damaged; restored from ${copy}`]);
    expect(readFileSync(best).equals(whole)).toBe(true);
    expect(valueOf(run)).toBe(6);
  });

  test('leaves the average of the latest checkpoint as it was', () => {
    const resumed = resumeRun(run);
    const into = tensors();
    resumed.checkpoint.average!.load(into);
    resumed.close();
    expect(into[0].data[0]).toBe(9);
  });

  test.each<[string, () => void, ErrorCode]>([
    ['missing', () => rmSync(average), 'file-not-found'],
    [
      'of another step',
      () => copyFileSync(inRun('checkpoint-5/average.safetensors'), average),
      'damaged-file',
    ],
  ])('a latest average that is %s is an error that names it', (_name, harm, code) => {
    harm();
    expect(resume).toThrow(failure(code, average));
  });
});

describe('repairs', () => {
  test.each<[string, () => void, string]>([
    ['a missing best model', () => rmSync(best), `${best} was missing; restored from ${weights}`],
    [
      'a damaged best model',
      () => (unlinkFrom(best), damage(best)),
      `${best} was damaged; restored from ${weights}`,
    ],
    [
      'a best model of another step',
      () => (unlinkFrom(best), copyFileSync(join(latest, 'model.safetensors'), best)),
      `${best} was damaged; restored from ${weights}`,
    ],
    [
      'a best model damaged under both of its names',
      () => damage(best),
      `${best} was damaged; restored from ${inRun('checkpoint-5/model.safetensors')}`,
    ],
    [
      'a damaged config.json',
      () => damage(inRun('config.json')),
      `${inRun('config.json')} was damaged or changed; restored from ${join(latest, 'config.json')}`,
    ],
    [
      'a config.json of another model',
      () => {
        const json = readFileSync(inRun('config.json'), 'utf8');
        writeFileSync(inRun('config.json'), json.replace('"n_head": 2', '"n_head": 1'));
      },
      `${inRun('config.json')} was damaged or changed; restored from ${join(latest, 'config.json')}`,
    ],
    [
      'a missing tokenizer.json',
      () => rmSync(inRun('tokenizer.json')),
      `${inRun('tokenizer.json')} was missing; restored from ${join(latest, 'tokenizer.json')}`,
    ],
    [
      'a cut generation_config.json',
      () => writeFileSync(inRun('generation_config.json'), '{"eos'),
      `${inRun('generation_config.json')} was damaged or changed; restored from ${join(latest, 'generation_config.json')}`,
    ],
    [
      'a generation_config.json without ids where they should be',
      () => writeFileSync(inRun('generation_config.json'), '{"eos_token_id":"x"}'),
      `${inRun('generation_config.json')} was damaged or changed; restored from ${join(latest, 'generation_config.json')}`,
    ],
    [
      'a tokenizer_config.json with a wrong type',
      () => writeFileSync(inRun('tokenizer_config.json'), '{"add_prefix_space":"no"}'),
      `${inRun('tokenizer_config.json')} was damaged or changed; restored from ${join(latest, 'tokenizer_config.json')}`,
    ],
  ])('%s', (_name, harm, repair) => {
    harm();
    expect(resume()).toEqual([repair]);
    expect(valueOf(run)).toBe(5);
    expect(openModelFolder(run).metadata).toMatchObject({ step: '5', val_loss_estimate: '2.5' });
    for (const file of ['config.json', 'tokenizer.json', 'generation_config.json'])
      expect(readFileSync(inRun(file), 'utf8')).toBe(readFileSync(join(latest, file), 'utf8'));
    expect(resume()).toEqual([]);
  });

  test('a missing best model of a finished run, whose own file has the final loss in its metadata', () => {
    const whole = readFileSync(best);
    rmSync(inRun('checkpoint-5'), { recursive: true });
    writeHostWeights(run, config, tensors(5), {
      step: '5',
      val_loss: '2.6',
      ...modelFacts(config, tokenizer),
    });
    rmSync(best);
    expect(resume()).toEqual([`${best} was missing; restored from ${weights}`]);
    expect(readFileSync(best).equals(whole)).toBe(true);
  });

  test('a damaged model.safetensors of the run, silently: every resume replaces it with the checkpoint’s copy', () => {
    unlinkFrom(weights);
    damage(weights);
    expect(resume()).toEqual([]);
    expect(valueOf(run)).toBe(5);
  });
});

describe('refuses', () => {
  test.each<[string, () => void, unknown]>([
    [
      'a best model of which no good copy is left',
      () => {
        damage(best);
        rmSync(inRun('checkpoint-5'), { recursive: true });
      },
      failure('damaged-file', 'step 5', best),
    ],
    [
      'damaged parameters',
      () => damage(join(latest, 'model.safetensors')),
      failure('damaged-file', 'model.safetensors'),
    ],
    [
      'parameters of another step',
      () => copyFileSync(inRun('checkpoint-5/model.safetensors'), join(latest, 'model.safetensors')),
      failure('damaged-file', join(latest, 'model.safetensors')),
    ],
    [
      'moments of another step',
      () => copyFileSync(inRun('checkpoint-5/optimizer.safetensors'), join(latest, 'optimizer.safetensors')),
      failure('damaged-file', join(latest, 'optimizer.safetensors')),
    ],
    [
      'missing moments',
      () => rmSync(join(latest, 'optimizer.safetensors')),
      failure('file-not-found', join(latest, 'optimizer.safetensors')),
    ],
    [
      'a damaged config.json of the checkpoint',
      () => damage(join(latest, 'config.json')),
      failure('damaged-file', join(latest, 'config.json')),
    ],
    [
      'a damaged state',
      () => damage(join(latest, 'gpt_trainer_state.json')),
      `${join(latest, 'gpt_trainer_state.json')}: `,
    ],
    [
      'a renamed checkpoint',
      () => renameSync(latest, inRun('checkpoint-9')),
      failure('mismatched-files', inRun('checkpoint-9'), 'step 8'),
    ],
    [
      "a checkpoint of Hugging Face's Trainer beside its own",
      () => writeTrainerOutput(run, 20),
      failure('output-exists', inRun('checkpoint-20')),
    ],
  ])('%s', (_name, harm, expected) => {
    harm();
    const before = readdirSync(run, { recursive: true, encoding: 'utf8' }).toSorted();
    expect(resume).toThrow(expected);
    expect(readdirSync(run, { recursive: true, encoding: 'utf8' }).toSorted()).toEqual(before);
  });

  test.each([
    'metrics.jsonl',
    'samples.jsonl',
    'speed.jsonl',
    'run.lock',
    'config.json',
    'model.safetensors',
  ])('%s as a symbolic link, and leaves its target alone', (file) => {
    const target = join(root, 'target');
    writeFileSync(target, 'x'.repeat(1000));
    rmSync(inRun(file), { force: true });
    symlinkSync(target, inRun(file));
    expect(resume).toThrow(failure('symbolic-link', inRun(file)));
    expect(readFileSync(target, 'utf8')).toBe('x'.repeat(1000));
  });

  test.each(['best.safetensors', 'model.safetensors', 'gpt_trainer_state.json'])(
    '%s of the checkpoint as a symbolic link',
    (file) => {
      const target = join(root, file);
      copyFileSync(join(latest, file), target);
      rmSync(join(latest, file));
      symlinkSync(target, join(latest, file));
      expect(resume).toThrow(failure('symbolic-link', join(latest, file)));
    },
  );

  test('a checkpoint that is a link to a folder elsewhere, which stays as it is', () => {
    const elsewhere = join(root, 'elsewhere');
    cpSync(latest, elsewhere, { recursive: true });
    symlinkSync(elsewhere, inRun('checkpoint-7'));
    expect(resume).toThrow(failure('symbolic-link', inRun('checkpoint-7')));
    expect(existsSync(join(elsewhere, 'model.safetensors'))).toBe(true);
  });
});

test('a log that becomes a link while the run writes is not followed', () => {
  const target = join(root, 'log-target');
  writeFileSync(target, 'untouched');
  const resumed = resumeRun(run);
  const writer = resumed.continue();
  rmSync(inRun('metrics.jsonl'));
  symlinkSync(target, inRun('metrics.jsonl'));
  writer.log('metrics', { step: 9 });
  expect(() => writer.flushLog()).toThrow(failure('symbolic-link'));
  resumed.close();
  expect(readFileSync(target, 'utf8')).toBe('untouched');
});

test('a run of an older version, without checksums, resumes; the rest is verified', () => {
  const asBefore = (folder: string): void => {
    const state = join(folder, 'gpt_trainer_state.json');
    const {
      files: _files,
      sha256: _sha256,
      ...rest
    } = JSON.parse(readFileSync(state, 'utf8')) as object & {
      files: unknown;
      sha256: unknown;
    };
    writeFileSync(join(folder, 'trainer_state.json'), JSON.stringify({ ...rest, format: 2 }));
    rmSync(state);
  };
  for (const step of [5, 8]) asBefore(inRun(`checkpoint-${step}`));
  expect(resume()).toEqual([]);
  expect(valueOf(run)).toBe(5);
  rmSync(best);
  expect(resume()).toEqual([`${best} was missing; restored from ${weights}`]);
  copyFileSync(inRun('checkpoint-5/optimizer.safetensors'), join(latest, 'optimizer.safetensors'));
  expect(resume).toThrow(failure('mismatched-files', 'optimizer.safetensors', 'step "5"', 'step 8'));
  copyFileSync(inRun('checkpoint-5/model.safetensors'), join(latest, 'model.safetensors'));
  expect(resume).toThrow(failure('mismatched-files', 'model.safetensors', 'step "5"', 'step 8'));
});

describe("the output folder of Hugging Face's Trainer", () => {
  const output = join(root, 'output');
  beforeEach(() => rmSync(output, { recursive: true, force: true }));

  test.each([true, false])('is read as a model, saved at the top: %s', (atTop) => {
    writeTrainerOutput(output, 3, { atTop });
    writeTrainerOutput(output, 12);
    if (atTop)
      copyFileSync(join(output, 'checkpoint-3/model.safetensors'), join(output, 'model.safetensors'));
    expect(valueOf(output)).toBe(atTop ? 3 : 12);
    expect(valueOf(join(output, 'checkpoint-3'))).toBe(3);
  });

  test.each(['', 'checkpoint-3'])('is not resumed: output/%s', (inside) => {
    writeTrainerOutput(output, 3);
    expect(() => resumeRun(join(output, inside))).toThrow(failure('unsupported-format'));
  });
});

test('other folders and files are refused as runs', () => {
  const empty = join(root, 'empty');
  mkdirSync(empty, { recursive: true });
  expect(() => resumeRun(empty)).toThrow(failure('no-checkpoint', empty));
  expect(() => resumeRun(latest)).toThrow(failure('wrong-file-kind', latest));
  expect(() => resumeRun(weights)).toThrow(failure('wrong-file-kind', weights));
});
