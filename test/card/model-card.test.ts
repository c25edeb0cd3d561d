import { describe, expect, test } from 'vitest';
import {
  forOllama,
  modelCard,
  withMergedAdapter,
  withPrecision,
  type CardFacts,
  type TrainingFacts,
} from '../../src/card/model-card.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { checkConfig } from '../../src/model/architectures/registry.ts';
import { tokenizerOf } from '../fuzz/seeds.ts';

const tokenizer = tokenizerOf('char');
const shape = { vocabSize: tokenizer.vocabSize, blockSize: 8, nLayer: 1, nHead: 2, nEmbd: 4, dropout: 0 };
const config = checkConfig({ ...gpt2Defaults, ...shape });
const training: TrainingFacts = {
  texts: ['book.txt'],
  files: 1,
  bytes: 25_000,
  trainTokens: 1000,
  base: undefined,
  steps: 50,
  plannedSteps: 50,
  tokensSeen: 2500,
  recipe: [['optimizer', 'adamw']],
  command: 'gpt train book.txt --max-iters 50',
  isWholeStory: true,
  validation: {
    loss: 2,
    heldOut: 'the last 10% of the text',
    tokens: 100,
    bytes: 150,
    isEstimate: false,
    step: 40,
    isAverage: false,
  },
  prompt: 'Call me',
};

const card = (changes: Partial<TrainingFacts> = {}, facts: Partial<CardFacts> = {}): string =>
  modelCard({ name: 'book', config, tokenizer, training: { ...training, ...changes }, ...facts });

/** The lines between the two marks, without quotes. */
const metadataOf = (text: string): string[] => {
  const [, yaml] = /^---\n([^]*?)\n---\n\n# /.exec(text)!;
  return yaml.split('\n').map((line) => line.trim().replaceAll('"', ''));
};

describe('the metadata', () => {
  test('names library, task and measured losses, and no license', () => {
    const lines = metadataOf(card());
    expect(lines).toEqual(
      expect.arrayContaining(['library_name: transformers', 'pipeline_tag: text-generation', '- gpt2']),
    );
    expect(lines).toEqual(expect.arrayContaining(['value: 2', `value: ${Math.exp(2)}`]));
    expect(lines).toContain(`value: ${(2 * 100) / Math.LN2 / 150}`);
    expect(lines.join('\n')).not.toMatch(/license|datasets|base_model|language:/);
  });

  test('has a base model only if its id on the Hub is known', () => {
    const known = card({ base: { name: 'a/b', hubId: 'a/b' } });
    expect(metadataOf(known)).toContain('base_model: a/b');
    expect(known).toContain('https://huggingface.co/a/b');
    const local = card({ base: { name: 'whale-1', hubId: undefined } });
    expect(metadataOf(local).join('\n')).not.toContain('base_model');
    expect(local).toContain('fine-tuned from `whale-1`');
  });

  test('has no results where nothing was measured', () => {
    const text = card({ validation: undefined });
    expect(metadataOf(text)).not.toContain('model-index:');
    expect(text).not.toContain('## Evaluation');
  });

  test('does not name transformers for a model that has no class there', () => {
    const text = card({}, { config: checkConfig({ ...gpt2Defaults, ...shape, norm: 'post' }) });
    expect(metadataOf(text)).toContain('library_name: gpt-trainer');
    expect(text).not.toContain('from transformers');
  });
});

describe('the text', () => {
  test('says how the model was trained and measured', () => {
    const text = card();
    for (const part of [
      '`book.txt`: 25.0 kB',
      '2,500, 2.50 epochs',
      '2.0000 nats per token',
      ((2 * 100) / Math.LN2 / 150).toFixed(4),
      'all of the last 10% of the text, 100 tokens',
      'step 40',
      training.command,
      '"Call me"',
    ])
      expect(text, part).toContain(part);
    expect(text).not.toContain('50 of 50');
  });

  test('says what an interrupted, resumed or averaged run is', () => {
    expect(card({ steps: 7 })).toContain('7 of 50');
    expect(card({ isWholeStory: false })).toContain('similar model');
    expect(card({ validation: { ...training.validation!, isEstimate: true } })).toContain('about 2.0000');
    expect(card({ validation: { ...training.validation!, isAverage: true } })).toContain('moving average');
    expect(card({ validation: { ...training.validation!, bytes: undefined } })).not.toContain(
      'bits per byte',
    );
  });

  test('survives any name', () => {
    const name = '---\n"x": [y] #| `z`\u2028';
    const lines = metadataOf(card({ texts: [name, name] }, { name }));
    expect(lines.filter((line) => line.startsWith('- name:'))).toHaveLength(1);
    const text = card({ texts: [name] }, { name });
    expect(text.match(/^---$/gm)).toHaveLength(2);
    expect(text.match(/^# /gm)).toHaveLength(1);
  });

  test('names five of many texts', () => {
    const text = card({ texts: ['1', '2', '3', '4', '5', '6', '7'], files: 7 });
    expect(text).toContain('`5` and 2 more: 25.0 kB in 7 files');
  });

  test('of a folder without a record of its training says so', () => {
    const text = card({}, { training: undefined });
    expect(text).toContain('no record of its training');
    expect(text).not.toContain('## Training');
  });
});

describe('the card of an adapter', () => {
  const lora = {
    rank: 4,
    alpha: 8,
    dropout: 0,
    targets: ['c_attn'],
    isRankStabilized: false,
    base: { path: 'base' },
  };
  const text = card({ base: { name: 'base', hubId: undefined } }, { config: { ...config, lora } });

  test('names peft, the rank, and the size of the base', () => {
    expect(metadataOf(text)).toEqual(expect.arrayContaining(['library_name: peft', '- lora']));
    const [, size] = /with ([\d,]+) parameters/.exec(card())!;
    expect(text).toContain(`A LoRA adapter of rank 4 for a language model with ${size} parameters`);
  });

  test('becomes that of a model when it is merged', () => {
    const merged = withMergedAdapter(text);
    expect(metadataOf(merged)).toContain('library_name: transformers');
    expect(metadataOf(merged)).not.toContain('- lora');
    expect(merged).toMatch(/is merged into the weights[^]*## Model/);
  });
});

describe('an exported card', () => {
  test('says the precision, and keeps what the user added', () => {
    const edited = card().replace('---\n\n#', 'license: mit\n---\n\n#').replace('## License', '## Thanks');
    const text = withPrecision(edited, 'bf16');
    expect(text).toMatch(/rounded to bf16[^]*## Model/);
    expect(text.replace(/The weights in this folder.*\n\n/, '')).toBe(edited);
  });

  test('for Ollama says how to run it there', () => {
    const text = forOllama(card());
    expect(text).toContain('ollama create');
    expect(text).not.toContain('transformers');
    expect(text).toContain('## License');
    expect(forOllama('# mine\n')).toBe('# mine\n');
  });
});
