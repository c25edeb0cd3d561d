import { describe, expect, test } from 'vitest';
import type { TrainerState } from '../../src/checkpoint/trainer-state.ts';
import { textChange } from '../../src/train/new-text.ts';
import { resolveOptions } from '../../src/train/settings.ts';
import { resumedOptions } from '../../src/train/stored-options.ts';
import type { TrainingData } from '../../src/train/training-data.ts';
import { failure } from '../fixtures/failure.ts';

test('a run from before --encoding existed was trained on UTF-8', () => {
  const settings = resolveOptions({ corpus: ['book.txt'] });
  const { encoding: _encoding, ...stored } = settings;
  expect(resumedOptions(stored, { corpus: [] }, settings).encoding).toBe('utf-8');
  expect(resumedOptions(stored, { corpus: [], encoding: 'utf-8' }, settings).encoding).toBe('utf-8');
  expect(() => resumedOptions(stored, { corpus: [], encoding: 'koi8-r' }, settings)).toThrow(
    failure('conflicting-options', 'koi8-r', '"utf-8"'),
  );
  const forced = resumedOptions(stored, { corpus: [], encoding: 'koi8-r', force: true }, settings);
  expect(forced.encoding).toBe('koi8-r');

  const state = { corpus_sha256: 'a', validation_sha256: null, options: stored } as unknown as TrainerState;
  const data = { corpus: { sha256: 'a' }, validationSha256: undefined } as TrainingData;
  expect(textChange(state, data, settings)).toBe(undefined);
  expect(textChange(state, data, { ...settings, encoding: 'koi8-r' })).toBe('text');
});

test('a run from before --muon-scale existed continues to scale matrices', () => {
  const settings = resolveOptions({ corpus: ['book.txt'], optimizer: 'muon' });
  expect(settings.muonScale).toBe('neuron');
  const { muonScale: _muonScale, ...stored } = settings;
  const values = { ...settings, muonScale: 'matrix' };
  expect(resumedOptions(stored, { corpus: [] }, values).muonScale).toBe('matrix');
  expect(() => resumedOptions(stored, { corpus: [], muonScale: 'neuron' }, values)).toThrow(
    failure('conflicting-options', 'muonScale is neuron, but the run has "matrix"'),
  );
});

test('a bpe run from before its vocabulary depended on the text had at most 1,024 tokens, if it built one', () => {
  const settings = resolveOptions({ corpus: ['book.txt'], tokenizer: 'bpe' });
  expect(settings.bpeSizeFromText).toBe(true);
  const { bpeSizeFromText: _bpeSizeFromText, ...rest } = settings;
  const older = { ...rest, vocabSize: null };
  const sizeOf = (stored: Readonly<Record<string, unknown>>) =>
    resumedOptions(stored, { corpus: [] }, settings).vocabSize;
  expect(sizeOf(older)).toBe(1024);
  expect(sizeOf({ ...older, vocabSize: 300 })).toBe(300);
  for (const other of [
    { bpeSizeFromText: true },
    { tokenizer: 'char' },
    { initFrom: 'model' },
    { corpus: ['tokens.bin'] },
  ])
    expect(sizeOf({ ...older, ...other }), JSON.stringify(other)).toBeUndefined();
});

describe('a default that a checkpoint omits', () => {
  const settings = resolveOptions({ corpus: ['book.txt'], nEmbd: 16, nHead: 2 });
  const {
    initialization: _initialization,
    muonLearningRate: _muonLearningRate,
    tieWordEmbeddings: _tieWordEmbeddings,
    ...stored
  } = settings;
  const values = { ...settings, nInner: 64 };

  test.each([
    { nInner: 64 },
    { initialization: 'gpt2' },
    { muonLearningRate: 0.02 },
    { tieWordEmbeddings: true },
  ] as const)('may be given to a resumed run: %o', (same) => {
    expect(resumedOptions(stored, { corpus: [], ...same }, values)).toMatchObject(same);
  });

  test('is named by the error about another value', () => {
    expect(() => resumedOptions(stored, { corpus: [], nInner: 512 }, values)).toThrow(
      failure('conflicting-options', 'nInner is 512, but the run has 64'),
    );
    expect(() =>
      resumedOptions(stored, { corpus: [], initialization: 'fan-in', force: true }, values),
    ).toThrow(failure('conflicting-options', 'initialization is fan-in, but the run has "gpt2"'));
  });
});
