import { expect, test } from 'vitest';
import type { TrainerState } from '../../src/checkpoint/trainer-state.ts';
import { textChange } from '../../src/train/new-text.ts';
import { resolveOptions } from '../../src/train/settings.ts';
import { resumedOptions } from '../../src/train/stored-options.ts';
import type { TrainingData } from '../../src/train/training-data.ts';
import { failure } from '../fixtures/failure.ts';

test('a run from before --encoding existed was trained on UTF-8', () => {
  const settings = resolveOptions({ corpus: ['book.txt'] });
  const { encoding: _encoding, ...stored } = settings;
  expect(resumedOptions(stored, { corpus: [] }).encoding).toBe('utf-8');
  expect(resumedOptions(stored, { corpus: [], encoding: 'utf-8' }).encoding).toBe('utf-8');
  expect(() => resumedOptions(stored, { corpus: [], encoding: 'koi8-r' })).toThrow(
    failure('conflicting-options', 'koi8-r', '"utf-8"'),
  );
  const forced = resumedOptions(stored, { corpus: [], encoding: 'koi8-r', force: true });
  expect(forced.encoding).toBe('koi8-r');

  const state = { corpus_sha256: 'a', validation_sha256: null, options: stored } as unknown as TrainerState;
  const data = { corpus: { sha256: 'a' }, validationSha256: undefined } as TrainingData;
  expect(textChange(state, data, settings)).toBe(undefined);
  expect(textChange(state, data, { ...settings, encoding: 'koi8-r' })).toBe('text');
});
