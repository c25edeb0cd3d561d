import { expect, test } from 'vitest';
import type { Run } from '../../../src/checkpoint/run.ts';
import { createWasmBackend } from '../../../src/engine/wasm.ts';
import { gpt2Defaults } from '../../../src/model/architectures/gpt2.ts';
import { resolveOptions } from '../../../src/train/settings.ts';
import { trainingPrograms } from '../../../src/train/programs.ts';
import { preview } from '../../../src/train/session/preview.ts';
import type { TrainingData } from '../../../src/train/training-data.ts';
import { createCharTokenizer } from '../../../src/tokenizer/char.ts';

const settings = {
  ...resolveOptions({ corpus: ['text.txt'], nLayer: 2, nHead: 1, nEmbd: 16, blockSize: 8, batchSize: 2 }),
  sampleTokens: 3,
};
const config = { ...gpt2Defaults, vocabSize: 4, blockSize: 8, nLayer: 2, nHead: 1, nEmbd: 16, dropout: 0 };
const tokenizer = createCharTokenizer(['a', 'b', 'c', '<unk>']);
const ids = Int32Array.from({ length: 40 }, (_, i) => i % 3);

test('a preview can be interrupted within a prefill, and is then discarded', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  try {
    const programs = trainingPrograms({ config, batchSize: 2, microBatches: 1, optimizer: 'adamw' });
    const data = { tokenizer, train: ids, validation: ids } as unknown as TrainingData;
    const shownWith = async (poll: () => Promise<boolean>): Promise<string[]> => {
      const shown: string[] = [];
      const run: Pick<Run, 'log'> = { log() {} };
      const sink = preview({ run: run as Run, backend, programs, data, poll }, (text) => shown.push(text));
      await sink({ type: 'evaluation', step: 1 } as Parameters<typeof sink>[0], settings);
      return shown;
    };
    let polls = 0;
    expect(await shownWith(async () => ++polls > 1e9)).toHaveLength(1);
    expect(polls).toBeGreaterThan(10 * settings.sampleTokens);
    let last = 5; // within the first prefill
    expect(await shownWith(async () => --last === 0)).toEqual([]);
    expect(last).toBe(0);
  } finally {
    await backend.close();
  }
});
