import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { readTrainerState, trainerStateText } from '../../src/checkpoint/trainer-state.ts';
import { train } from '../../src/index.ts';
import { recordingProgram } from './definitions.ts';
import { runInProcess } from './in-process.ts';
import { failure } from '../fixtures/failure.ts';
import type { ErrorCode } from '../../src/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'config-'));
const path = (name: string): string => join(folder, name);

/** The options and arguments that a command line comes to, with a config file of this content. */
async function given(line: string, config: unknown) {
  writeFileSync(path('run.json'), typeof config === 'string' ? config : JSON.stringify(config));
  const { parse } = await recordingProgram();
  return parse([...line.split(' '), '--config', path('run.json')]);
}

afterEach(() => vi.unstubAllEnvs());

describe('--config', () => {
  test('gives options and arguments under any spelling of their names', async () => {
    const { args, options } = await given('train', {
      corpus: ['a.txt', 'b.txt'],
      'n-layer': 2,
      n_head: 3,
      nEmbd: '48',
      overwrite: true,
      resume: 'checkpoints/a',
      valFile: null,
    });
    expect(args).toEqual([['a.txt', 'b.txt']]);
    expect(options).toMatchObject({
      nLayer: 2,
      nHead: 3,
      nEmbd: 48,
      overwrite: true,
      resume: 'checkpoints/a',
    });
    expect(options).not.toHaveProperty('valFile');
  });

  test('is overridden by flags and arguments, including conflicting ones', async () => {
    const { args, options } = await given('train mine.txt --n-layer 7 --val-file v.txt', {
      corpus: 'other.txt',
      nLayer: 2,
      valFraction: 0.2,
      seed: 9,
    });
    expect(args).toEqual([['mine.txt']]);
    expect(options).toMatchObject({ nLayer: 7, valFile: 'v.txt', seed: 9 });
    expect(options).not.toHaveProperty('valFraction');
  });

  test.each<[name: string, config: unknown, errorCode: ErrorCode, ...mentioned: string[]]>([
    ['an unknown key', { 'n-leyer': 1 }, 'unknown-name', '"n-leyer"'],
    ['a wrong value', { nLayer: 'one' }, 'bad-option-value', '--n-layer', '"one"'],
    ['a wrong value, even if a flag has the last word', { seed: 'x' }, 'bad-option-value', '--seed', '"x"'],
    ['several values for one option', { nLayer: [1, 2] }, 'bad-option-value', '--n-layer', '[1,2]'],
    ['a switch that is not a boolean', { json: 'yes' }, 'bad-option-value', '--json', '"yes"'],
    ['an object', { nLayer: {} }, 'bad-option-value', '--n-layer', '{}'],
    ['an object as the text', { corpus: { toString: 1 } }, 'bad-option-value', 'corpus', '{"toString":1}'],
    ['another config file', { config: 'other.json' }, 'unknown-name', '"config"'],
    ['a list', [1], 'damaged-file', 'JSON object'],
    ['what is not JSON', '{', 'damaged-file', 'JSON'],
  ])('refuses %s', async (_name, config, errorCode, ...mentioned) => {
    const refused = given('train a.txt --seed 1', config);
    await expect(refused).rejects.toThrow(failure(errorCode, path('run.json'), ...mentioned));
  });

  test('a switch that is off conflicts with nothing', async () => {
    const { options } = await given('train a.txt', { quiet: true, verbose: false });
    expect(options).toMatchObject({ quiet: true });
  });

  test('refuses options that cannot be combined, as the command line does', async () => {
    await expect(given('train a.txt', { 'max-iters': 5, minutes: 1 })).rejects.toThrow(
      failure('conflicting-options', path('run.json'), '--max-iters', '--minutes'),
    );
    expect((await given('train a.txt --minutes 2', { 'max-iters': 5, minutes: null })).options).toMatchObject(
      {
        minutes: 2,
      },
    );
  });

  test('suggests what was meant', async () => {
    await expect(given('train', { learningrate: 1 })).rejects.toMatchObject({
      hint: 'did you mean "learning-rate"?',
    });
    await expect(given('train', { zzzzzz: 1 })).rejects.toMatchObject({ hint: 'see gpt train --help' });
  });
});

test('no file chooses a library that is executed', async () => {
  await expect(given('train a.txt', { blas: '/tmp/evil.so' })).rejects.toThrow(
    failure('bad-option-value', '"/tmp/evil.so"', 'BLAS'),
  );
});

describe('the environment', () => {
  test('is overridden by flags and overrides the file', async () => {
    vi.stubEnv('GPT_THREADS', '3');
    vi.stubEnv('GPT_MODEL', 'some/model');
    expect((await given('sample', { threads: 2 })).options).toMatchObject({
      threads: 3,
      model: 'some/model',
    });
    expect((await given('sample --threads 1 -m other', {})).options).toMatchObject({
      threads: 1,
      model: 'other',
    });
    vi.stubEnv('GPT_THREADS', '');
    expect((await given('sample', { threads: 2 })).options).toMatchObject({ threads: 2 });
  });

  test('is named where it is wrong', async () => {
    vi.stubEnv('GPT_THREADS', 'all');
    await expect(given('train a.txt', {})).rejects.toThrow(
      failure('bad-option-value', 'GPT_THREADS', '--threads', '"all"'),
    );
    vi.unstubAllEnvs();
    vi.stubEnv('GPT_ENGINE', 'fastest');
    await expect(given('train a.txt', {})).rejects.toThrow(
      failure('bad-option-value', 'GPT_ENGINE', '"fastest"', 'avx512'),
    );
  });
});

describe('the record of a run', () => {
  const shape = { nLayer: 1, nHead: 2, nEmbd: 16, blockSize: 16, batchSize: 4 };
  const tiny = { ...shape, maxIters: 20, evalIters: 2, learningRate: 3e-3, dropout: 0.1, seed: 5 };
  beforeAll(async () => {
    const text = Array.from({ length: 300 }, (_, i) => `The ${['whale', 'sea'][(i * i) % 2]} ${i}.\n`).join(
      '',
    );
    writeFileSync(path('corpus.txt'), text);
    await train({
      corpus: [path('corpus.txt')],
      outDir: path('first'),
      ...tiny,
    });
  });

  test.each(['first', 'first/checkpoint-20/gpt_trainer_state.json'])(
    'trains the same model again, in a folder of its own: %s',
    async (record) => {
      const { stdout, stderr, code } = await runInProcess(
        ['train', '--config', record, '-q', '--json'],
        folder,
      );
      expect(stderr).toBe('');
      expect(code).toBe(0);
      const { folder: again } = JSON.parse(stdout) as { folder: string };
      expect(again).toMatch(/^checkpoints\/corpus-\d$/);
      const weights = (where: string) => readFileSync(path(join(where, 'checkpoint-20/model.safetensors')));
      expect(weights(again).equals(weights('first'))).toBe(true);
    },
  );

  test('from before --muon-scale existed: the new run scales matrices, as that one did', async () => {
    cpSync(path('first'), path('earlier'), { recursive: true });
    const file = path('earlier/checkpoint-20/gpt_trainer_state.json');
    const { format: _, ...state } = readTrainerState(file);
    const { muonScale, ...options } = state.options;
    expect(muonScale).toBe('neuron');
    writeFileSync(file, trainerStateText({ ...state, options }));
    const { stderr, code } = await runInProcess(['train', '--config', 'earlier', '-q', '--json'], folder);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    writeFileSync(file, trainerStateText({ ...state, options: { ...options, optimizer: 'muon' } }));
    const { parse } = await recordingProgram();
    for (const record of [path('earlier'), file])
      expect((await parse(['train', '--config', record])).options).toMatchObject({ muonScale: 'matrix' });
    const changed = await parse(['train', '--config', file, '--optimizer', 'adamw']);
    expect(changed.options.muonScale).toBeUndefined();
  });

  test('with a validation file evaluates on that file again', async () => {
    writeFileSync(path('val.txt'), readFileSync(path('corpus.txt'), 'utf8').slice(0, 300));
    const valFile = path('val.txt');
    await train({ ...tiny, maxIters: 2, corpus: [path('corpus.txt')], valFile, outDir: path('with-file') });
    const { parse } = await recordingProgram();
    for (const command of ['train', 'plan']) {
      const { options } = await parse([command, '--config', path('with-file')]);
      expect(options).toMatchObject({ valFile });
      expect(options.valFraction).toBeUndefined();
    }
    const changed = await parse(['train', '--config', path('with-file'), '--val-fraction', '0.2']);
    expect(changed.options).toMatchObject({ valFraction: 0.2 });
    expect(changed.options.valFile).toBeUndefined();
  });

  test.each(['--vocab-size 300', '--preset nano'])(
    'of a fine-tuning refuses %s instead of training a new model',
    async (flags) => {
      const options = { ...tiny, corpus: [path('corpus.txt')], initFrom: path('first'), maxIters: 2 };
      const { nLayer: _, nHead: _h, nEmbd: _e, blockSize: _b, ...fine } = options;
      await train({ ...fine, outDir: path('fine'), overwrite: true });
      const { stderr, code } = await runInProcess(['train', '--config', 'fine', ...flags.split(' ')], folder);
      expect(code).toBe(2);
      expect(stderr).toMatch(/fine starts from the model ".*first", so --\S+ has no effect/);
    },
  );

  test.each([
    ['sample', 'pass -m first'],
    ['eval', 'pass -m first'],
    ['doctor', 'gpt train and gpt plan'],
  ])('has no options for %s', async (command, hint) => {
    const { stderr, code } = await runInProcess([command, '--config', 'first'], folder);
    expect(code).toBe(2);
    expect(stderr).toContain(`gpt ${command}`);
    expect(stderr).toContain(hint);
  });

  describe('on words', () => {
    const choiceOf = async (line: string) => {
      const { parse } = await recordingProgram();
      const { tokenizer, minFrequency, rareWords } = (await parse(line.split(' '))).options;
      return { tokenizer, minFrequency, rareWords };
    };
    const file = path('words/checkpoint-1/gpt_trainer_state.json');
    beforeAll(() =>
      train({
        corpus: [path('corpus.txt')],
        outDir: path('words'),
        ...shape,
        tokenizer: 'word',
        maxIters: 1,
      }),
    );

    test('gives a tokenizer to gpt tokenize only where none is given', async () => {
      const { parse } = await recordingProgram();
      const config = ['--config', path('words')];
      expect((await parse(['tokenize', ...config])).options).toMatchObject({ tokenizer: 'word' });
      const { options } = await parse(['tokenize', ...config, '-m', path('first')]);
      expect(options.tokenizer).toBeUndefined();
      const filter = await parse(['tokenize', '--encode', ...config, '-m', path('first')]);
      expect(filter.args).toEqual([[]]);
      expect(filter.options.tokenizer).toBeUndefined();
    });

    test('has its tokenizer, unless the command line names another', async () => {
      const command = `train --config ${path('words')}`;
      const recorded = { tokenizer: 'word', rareWords: 'spell' };
      expect(await choiceOf(command)).toEqual(recorded);
      expect(await choiceOf(`${command} --tokenizer word --rare-words spell`)).toEqual(recorded);
      expect(await choiceOf(`${command} --rare-words unk`)).toEqual({ tokenizer: 'word', rareWords: 'unk' });
      expect(await choiceOf(`${command} --tokenizer char`)).toEqual({ tokenizer: 'char' });
      expect(await choiceOf(`train --config ${path('first')} --tokenizer word`)).toEqual({
        tokenizer: 'word',
      });
    });

    test('says nothing about the vocabulary of a starting model or of a token file', async () => {
      const config = `--config ${path('words')}`;
      expect(await choiceOf(`train ${config} --init-from elsewhere`)).toEqual({});
      expect(await choiceOf(`train tokens.bin ${config}`)).toEqual({});
    });

    test('keeps a minimum frequency that was given for it, with another tokenizer too', async () => {
      const { format: _, ...state } = readTrainerState(file);
      const options = { ...state.options, minFrequency: 7 };
      cpSync(path('words'), path('sevens'), { recursive: true });
      writeFileSync(
        path('sevens/checkpoint-1/gpt_trainer_state.json'),
        trainerStateText({ ...state, options }),
      );
      const command = `train --config ${path('sevens')} --rare-words unk`;
      expect(await choiceOf(command)).toEqual({ tokenizer: 'word', minFrequency: 7, rareWords: 'unk' });
    });

    test('from before --rare-words existed: unknown words are <unk>, as in that run', async () => {
      const { format: _, ...state } = readTrainerState(file);
      const { rareWords, ...options } = state.options;
      expect(rareWords).toBe('spell');
      writeFileSync(file, trainerStateText({ ...state, options: { ...options, minFrequency: 1 } }));
      const command = `train --config ${file}`;
      expect(await choiceOf(command)).toEqual({ tokenizer: 'word', minFrequency: 1, rareWords: 'unk' });
      expect(await choiceOf(`${command} --rare-words spell`)).toEqual({
        tokenizer: 'word',
        rareWords: 'spell',
      });
    });
  });

  describe('on bpe', () => {
    const sizeOf = async (line: string) => {
      const { parse } = await recordingProgram();
      return (await parse(line.split(' '))).options.vocabSize;
    };
    const run = path('pairs');
    const file = path('pairs/checkpoint-1/gpt_trainer_state.json');
    beforeAll(() =>
      train({ corpus: [path('corpus.txt')], outDir: run, ...shape, tokenizer: 'bpe', maxIters: 1 }),
    );

    test('builds the same vocabulary again, by the rule of the default', async () => {
      expect(await sizeOf(`train --config ${run}`)).toBeUndefined();
      expect(await sizeOf(`train --config ${run} --vocab-size 300`)).toBe(300);
      const again = path('pairs-again');
      await runInProcess(['train', '--config', run, '-o', again, '-q'], folder);
      const vocabulary = (where: string) => readFileSync(join(where, 'tokenizer.json'), 'utf8');
      expect(vocabulary(again)).toBe(vocabulary(run));
    });

    test('from before the size depended on the text: 1,024 tokens, as in that run', async () => {
      const { format: _, ...state } = readTrainerState(file);
      const { bpeSizeFromText, ...options } = state.options;
      expect({ bpeSizeFromText, vocabSize: options.vocabSize }).toEqual({
        bpeSizeFromText: true,
        vocabSize: null,
      });
      writeFileSync(file, trainerStateText({ ...state, options: { ...options, vocabSize: Infinity } }));
      expect(await sizeOf(`train --config ${file}`)).toBe(1024);
      for (const changes of ['--tokenizer char', '--init-from elsewhere'])
        expect(await sizeOf(`train --config ${file} ${changes}`)).toBeUndefined();
      expect(await sizeOf(`train tokens.bin --config ${file}`)).toBeUndefined();
      expect(await sizeOf(`train --config ${path('first')} --tokenizer bpe`)).toBeUndefined();
    });
  });

  describe('with other options', () => {
    const optionsOf = async (changes: string, record = 'words') => {
      const { parse } = await recordingProgram();
      const line = `train --config ${path(record)}${changes === '' ? '' : ` ${changes}`}`;
      return (await parse(line.split(' '))).options;
    };

    test('has all that was recorded if nothing changes', async () => {
      for (const changes of ['', '--quiet', '--optimizer adamw --n-layer 1'])
        expect(await optionsOf(changes)).toMatchObject({
          arch: 'gpt2',
          optimizer: 'adamw',
          learningRate: 1e-3,
          weightDecay: 0.1,
          lrDecayIters: 1,
          activation: 'gelu_new',
          dropout: 0,
          nEmbd: 16,
          warmupIters: 0,
          evalInterval: 1,
        });
    });

    test.each([
      ['--max-iters 40', ['lrDecayIters', 'lrDecayStart', 'warmupIters', 'evalInterval']],
      ['--minutes 1', ['lrDecayIters', 'lrDecayStart', 'warmupIters', 'evalInterval']],
      ['--optimizer lion', ['learningRate', 'minLr', 'weightDecay']],
      ['--optimizer muon --arch qwen3', ['momentum', 'initialization', 'activation']],
      ['--arch llama', ['activation', 'norm', 'positions', 'tieWordEmbeddings']],
      ['--learning-rate 0.1', ['minLr']],
      ['--preset gpt2', ['learningRate', 'minLr', 'beta2']],
      ['--init-from elsewhere', ['arch', 'activation', 'tieWordEmbeddings', 'learningRate']],
    ])('has the defaults that follow from %s', async (changes, outdated) => {
      const options = await optionsOf(changes);
      for (const name of outdated) expect(options, name).not.toHaveProperty(name);
      expect(options).toMatchObject({ batchSize: 4, seed: 1337 });
    });

    test('keeps what was given, though other options change', async () => {
      const options = await optionsOf('--optimizer lion --max-iters 40', 'first');
      expect(options).toMatchObject({ learningRate: 3e-3, dropout: 0.1, nLayer: 1, evalIters: 2 });
    });

    test('decays until its own end', async () => {
      const longer = path('longer');
      const { stderr, code } = await runInProcess(
        ['train', '--config', 'first', '-o', longer, '--max-iters', '40', '-q'],
        folder,
      );
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      const { options } = readTrainerState(join(longer, 'checkpoint-40/gpt_trainer_state.json'));
      expect(options).toMatchObject({ maxIters: 40, lrDecayIters: 40, warmupIters: 4 });
    });

    test('plans its own decay after a run whose decay was fitted to a time limit', async () => {
      const file = path('fitted/checkpoint-20/gpt_trainer_state.json');
      cpSync(path('first'), path('fitted'), { recursive: true });
      const { format: _, ...state } = readTrainerState(file);
      const options = { ...state.options, schedule: 'linear', lrDecayStart: 12, lrDecayFrom: 0.5 };
      writeFileSync(file, trainerStateText({ ...state, options }));
      expect(await optionsOf('', 'fitted')).toMatchObject({ lrDecayStart: 12, lrDecayFrom: 0.5 });
      const longer = await optionsOf('--minutes 1', 'fitted');
      for (const name of ['lrDecayStart', 'lrDecayFrom', 'lrDecayIters'])
        expect(longer).not.toHaveProperty(name);
      expect(await runInProcess(['plan', '--config', path('fitted')], folder)).toMatchObject({
        stderr: '',
        code: 0,
      });
    });
  });

  describe('that was extended after its decay', () => {
    const extend = async (name: string): Promise<void> => {
      cpSync(path('first'), path(name), { recursive: true });
      await train({ corpus: [], resume: path(name), maxIters: 45 });
    };

    test('trains the same model again, as one run', async () => {
      await extend('extended');
      const { stdout, stderr } = await runInProcess(
        ['train', '--config', 'extended', '-q', '--json'],
        folder,
      );
      expect(stderr).toBe('');
      const { folder: again } = JSON.parse(stdout) as { folder: string };
      for (const file of [
        'model.safetensors',
        'checkpoint-45/model.safetensors',
        'checkpoint-45/optimizer.safetensors',
      ])
        expect(readFileSync(path(join(again, file))).equals(readFileSync(path(join('extended', file))))).toBe(
          true,
        );
      const { options } = readTrainerState(path(join(again, 'checkpoint-45/gpt_trainer_state.json')));
      expect(options['pastSchedules']).toMatchObject([{ until: 20, lrDecayIters: 20 }]);
    });

    test('is overridden by a schedule from flags', async () => {
      await extend('other');
      const { parse } = await recordingProgram();
      const options = async (line: string) => (await parse(line.split(' '))).options;
      const config = `--config ${path('other')}`;
      expect(await options(`train ${config}`)).toMatchObject({ rewarmStart: 20, maxIters: 45 });
      expect(await options(`train ${config} --max-iters 60`)).not.toHaveProperty('rewarmStart');
      expect(await options(`plan ${config}`)).not.toHaveProperty('rewarmStart');
    });

    test('by an earlier version: a notice says that the model will differ', async () => {
      await extend('old');
      const file = path('old/checkpoint-45/gpt_trainer_state.json');
      const { format: _, ...state } = readTrainerState(file);
      const { pastSchedules: _past, lrDecayFrom: _from, ...options } = state.options;
      writeFileSync(file, trainerStateText({ ...state, options }));
      const { stderr } = await runInProcess(['train', '--config', 'old'], folder);
      expect(stderr).toMatch(/\bold .*step 20\b/);
    });
  });

  test('whose options --force has changed: a notice names them, and the new run has the later values', async () => {
    cpSync(path('first'), path('forced'), { recursive: true });
    writeFileSync(path('other.txt'), 'The whale and the sea.\n'.repeat(300));
    const resumed = { resume: path('forced'), force: true };
    await train({ corpus: [], ...resumed, maxIters: 24, dropout: 0, batchSize: 2, patience: 9 });
    let trained: number | undefined;
    await train(
      { corpus: [path('other.txt')], ...resumed, maxIters: 28, learningRate: 1e-3 },
      { start: ({ epochs, tokens }) => (trained = epochs * tokens.train) },
    );
    const { stderr, code } = await runInProcess(['train', '--config', 'forced', '--json'], folder);
    expect(code).toBe(0);
    expect(stderr).toMatch(/forced .*--dropout, --batch-size, .*text.* step 20 and 24\b/);
    const { options, tokens_seen } = readTrainerState(path('forced/checkpoint-28/gpt_trainer_state.json'));
    expect(tokens_seen).toBe((20 * 4 + 8 * 2) * 16);
    expect(trained).toBeCloseTo(tokens_seen, 6);
    expect(options['forcedChanges']).toEqual([
      { step: 20, before: { dropout: 0.1, batchSize: 4 } },
      { step: 24, before: { corpus: [path('corpus.txt')] } },
    ]);
    const { parse } = await recordingProgram();
    const { options: repeated } = await parse(['train', '--config', path('forced')]);
    expect(repeated).not.toHaveProperty('forcedChanges');
    expect(repeated).toMatchObject({ dropout: 0, batchSize: 2 });
  });
});
