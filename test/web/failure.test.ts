/** Errors of the program in the words of the page that trains in a browser. */
import { describe, expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { openCorpus } from '../../src/data/corpus.ts';
import { lostDevice } from '../../src/engine/webgpu/failures.ts';
import { optionName, optionValues, trainCall, type Terms } from '../../src/messages.ts';
import { failureText, workerFailure, type Page } from '../../src/web/failure.ts';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const page: Page = {
  fields: {
    nHead: { label: 'Heads' },
    nEmbd: { label: 'Channels' },
    batchSize: { label: 'Batch size' },
    learningRate: { label: 'Learning rate' },
    tokenizer: {
      label: 'Tokenizer',
      values: { char: 'characters', word: 'words', bpe: 'word pieces (BPE)' },
    },
    device: { label: 'Computed by', values: { cpu: 'the processor', webgpu: 'the GPU' } },
  },
  texts: ['bin', 'book.txt'],
  hasModel: false,
};
const marked: Terms = { option: optionName, values: optionValues, train: trainCall };
const shown = (error: UserError, on = page): string =>
  failureText({ code: error.code, ...error.in(marked) }, on);
const withHint = (hint: string): string => shown(new UserError('conflicting-options', 'it fails', { hint }));

/** The error of reading these bytes. */
function errorOf(bytes: Uint8Array): UserError {
  const path = join(mkdtempSync(join(tmpdir(), 'failure-')), 'bin');
  writeFileSync(path, bytes);
  try {
    for (const _ of openCorpus([path], { encoding: 'utf-8', encodingErrors: 'strict' }).text());
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('the file was read');
}

describe('a hint', () => {
  test.each([
    [`use a longer text, or ${optionName('valFraction')} 0 to train on all of it`, 'Use a longer text.'],
    [
      `use a smaller model, or adapters of a trained one with ${optionName('loraRank')}: all take 3 GB`,
      'Use a smaller model.',
    ],
    [
      `change ${optionName('nHead')}, ${optionName('nEmbd')} or ${optionName('headSize')}`,
      'Change “Heads” or “Channels”.',
    ],
    [`correct the line, or leave out such lines with ${optionName('skipBadLines')}`, 'Correct the line.'],
    [
      `try ${optionValues({ batchSize: 2, gradientAccumulationSteps: 4 })}, which needs 1 GB`,
      'Try “Batch size” 2, which needs 1 GB.',
    ],
    [
      `start again with ${optionValues({ learningRate: 0.001, muonLearningRate: 0.01 })} or a longer ${optionName('warmupIters')}`,
      'Start again with “Learning rate” 0.001.',
    ],
  ])('keeps only what the page can do: %j', (hint, expected) => {
    expect(withHint(hint)).toBe(`It fails. ${expected}`);
  });

  test('names the values of a choice as its field does', () => {
    expect(withHint(`use ${optionName('tokenizer')} char or bpe`)).toBe(
      'It fails. Use “Tokenizer” characters or word pieces (BPE).',
    );
    expect(withHint(`use a smaller batch, or use ${optionValues({ device: 'cpu' })}`)).toBe(
      'It fails. Use a smaller batch, or use “Computed by” the processor.',
    );
  });

  test('is left to the command line where the page can do none of it', () => {
    expect(withHint(`choose a column with ${optionName('documents')} csv:COLUMN`)).toBe(
      'It fails. This page has no option for it, but the command line does: choose a column with --documents csv:COLUMN.',
    );
  });

  test('of a resumed run is replaced, and its folder is not named', () => {
    const hint = `the best model, from step 5, is in book; resume from step 3 with a lower learning rate: ${trainCall([], { resume: 'book', learningRate: 0.1 })}`;
    const error = new UserError('training-diverged', 'training diverged at step 7', { hint });
    expect(shown(error)).toBe('Training diverged at step 7. To train again, choose a lower “Learning rate”.');
    expect(shown(error, { ...page, hasModel: true })).toBe(
      'Training diverged at step 7. The model of the last evaluation is kept below; to train again, choose a lower “Learning rate”.',
    );
  });
});

test('a lost GPU is reported in whole sentences, without a checkpoint to resume from', () => {
  expect(shown(lostDevice('A valid external Instance reference no longer exists.'))).toBe(
    'The GPU was lost: A valid external Instance reference no longer exists. Train again, with “Computed by” the processor if this happens again.',
  );
});

test('a worker that fails is reported with advice that loses no model', () => {
  expect(failureText(workerFailure(undefined, false), page)).toBe(
    'The program that trains could not be loaded. Reload the page; if that does not help, try another browser.',
  );
  expect(failureText(workerFailure('Uncaught RangeError: too long', true), page)).toBe(
    'The program that trains failed: RangeError: too long. Download the model below before you reload the page.',
  );
});

describe('a file that is no text', () => {
  test('is not told to name an encoding', () => {
    const utf16 = errorOf(Uint8Array.from(Buffer.from('a text', 'utf16le')));
    expect(shown(utf16)).toMatch(
      /bin is not a text file: byte 1 is NUL\. If it is a text, save it as UTF-8\.$/,
    );
    const latin1 = errorOf(Uint8Array.of(0x61, 0xe9, 0x62));
    expect(shown(latin1)).toMatch(/\. If it is a text, save it as UTF-8\.$/);
  });

  test('keeps its name', () => {
    expect(shown(new UserError('not-text', 'bin is not a text file'))).toBe('bin is not a text file.');
    expect(shown(new UserError('not-text', 'binary is not a text file'))).toBe('Binary is not a text file.');
  });
});

test('an option in parentheses without a field is omitted from a message', () => {
  const message = `a head has 3 channels (${optionName('headSize')}); it needs an even number`;
  expect(shown(new UserError('conflicting-options', message))).toBe(
    'A head has 3 channels; it needs an even number.',
  );
});
