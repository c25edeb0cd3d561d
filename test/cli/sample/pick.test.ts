import { expect, test } from 'vitest';
import type { LineInput } from '../../../src/cli/interactive/line-input.ts';
import { pickTokens } from '../../../src/cli/sample/pick.ts';
import type { Decoder } from '../../../src/generate/decoder.ts';
import type { InParts } from '../../../src/polling.ts';
import { createCharTokenizer } from '../../../src/tokenizer/char.ts';
import { tinyConfig } from '../../generate/tiny-model.ts';

const tokenizer = createCharTokenizer(['a', 'b', 'c', '<unk>']);
const config = { ...tinyConfig, vocabSize: 4 };

/** A decoder so slow that the prefill of the prompt, or each decode step after it, never ends. */
function slowDecoder(slow: 'prefill' | 'decode step'): Decoder {
  const run = async function* (isSlow: boolean): InParts<Float32Array> {
    if (isSlow) for (;;) yield;
    return new Float32Array(config.vocabSize);
  };
  const decoder: Pick<Decoder, 'config' | 'reset' | 'reading' | 'stepping'> = {
    config,
    reset() {},
    reading: () => run(slow === 'prefill'),
    stepping: () => run(slow === 'decode step'),
  };
  return decoder as Decoder;
}

test.each(['prefill', 'decode step'] as const)('Ctrl-C leaves --pick during a %s', async (slow) => {
  const keys: string[] = [];
  let raw = false;
  const input: LineInput = {
    live: false,
    line: () => Promise.resolve(undefined),
    startKeys: () => (raw = true),
    hasEscape: () => raw && keys.includes('escape'),
    key: () => Promise.resolve('1'),
    endKeys: () => (raw = false),
    close() {},
  };
  setTimeout(() => keys.push('escape'), 200);
  const start = performance.now();
  const options = { temperature: 1, topK: 0, topP: 1, seed: 1 };
  const added = await pickTokens(
    { decoder: slowDecoder(slow), tokenizer },
    { text: 'a', ids: Uint32Array.of(0) },
    options,
    input,
  );
  expect(performance.now() - start).toBeLessThan(2_000);
  expect(added).toBe(slow === 'prefill' ? '' : tokenizer.decode([0]));
  expect(raw).toBe(false);
});
