import { describe, expect, test } from 'vitest';
import { resolveOptions, type TrainModelOptions } from '../../src/train/settings.ts';
import { isRepeatable, trainCommand } from '../../src/train/train-command.ts';
import { baseOf } from '../../src/train/session/run-card.ts';

const commandOf = (options: TrainModelOptions): string =>
  trainCommand(resolveOptions({ sampleTokens: 120, ...options }));

describe('the command of a run', () => {
  test.each<[TrainModelOptions, string]>([
    [{ corpus: ['a.txt'], maxIters: 5 }, 'gpt train a.txt --block-size 64 --max-iters 5 --seed 1337'],
    [
      { corpus: ['/home/me/my book.txt', 'b/c.txt'], maxIters: 5, valFile: '/secret/val.txt' },
      'gpt train "my book.txt" b/c.txt --block-size 64 --val-file val.txt --max-iters 5 --seed 1337',
    ],
    [
      { corpus: ['-'], arch: 'qwen3', optimizer: 'muon', tieWordEmbeddings: true, maxIters: 9, seed: 3 },
      'cat corpus.txt | gpt train - --arch qwen3 --block-size 64 --tie-word-embeddings true --max-iters 9 --optimizer muon --seed 3',
    ],
    [
      { corpus: ['a.txt'], initFrom: '/models/gpt2', nLayer: 12, blockSize: 32, maxIters: 5 },
      'gpt train a.txt --init-from gpt2 --block-size 32 --max-iters 5 --seed 1337',
    ],
    [
      { corpus: ['a.txt'], preset: 'baby', learningRate: 0.002, saveEvery: 5, sampleTokens: 0 },
      'gpt train a.txt --preset baby --block-size 256 --max-iters 5000 --learning-rate 0.002 --seed 1337 --save-every 5 --sample-tokens 0',
    ],
  ])('%j', (options, command) => expect(commandOf(options)).toBe(command));

  test('is the whole story unless a resumed run changed something', () => {
    const settings = resolveOptions({ corpus: ['a.txt'], maxIters: 5 });
    expect(isRepeatable(settings)).toBe(true);
    expect(isRepeatable({ ...settings, rewarmStart: 3 })).toBe(false);
    expect(isRepeatable({ ...settings, lrDecayFrom: 0.5 })).toBe(false);
    expect(isRepeatable({ ...settings, forcedChanges: [{ step: 1, before: { batchSize: 1 } }] })).toBe(false);
  });
});

test.each([
  [undefined, undefined],
  ['models/whale-1', { name: 'whale-1', hubId: undefined }],
  ['/x/whale-1/checkpoint-30/', { name: 'whale-1', hubId: undefined }],
  [
    '/c/hub/models--HuggingFaceTB--SmolLM2-135M/snapshots/93ef',
    { name: 'HuggingFaceTB/SmolLM2-135M', hubId: 'HuggingFaceTB/SmolLM2-135M' },
  ],
  ['/c/hub/models--gpt2/snapshots/607a', { name: 'gpt2', hubId: 'gpt2' }],
])('the base model in %s is %j', (path, base) => expect(baseOf(path)).toEqual(base));
