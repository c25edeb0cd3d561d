/** Real files, as the program writes them, in folders to be damaged. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { architectureOf } from '../../src/model/architectures/registry.ts';
import { safetensorsPieces } from '../../src/checkpoint/safetensors.ts';
import type { NamedTensor } from '../../src/model/tensor.ts';
import { INDEX } from '../../src/checkpoint/weights.ts';
import { writeFileAtomic } from '../../src/write-file.ts';
import { modelFacts, writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { writeTokenFile } from '../../src/data/token-file.ts';
import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { elements, parameterTable } from '../../src/model/parameters.ts';
import { tokenizers } from '../../src/tokenizer/registry.ts';
import { encode, type Tokenizer, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import type { LoraConfig } from '../../src/model/lora.ts';
import { baseFingerprint } from '../../src/checkpoint/base-fingerprint.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';

export const TEXT =
  'Call me Ishmael. Some years ago – never mind how long precisely – 🐋 having little money.\n';

export function tokenizerOf(kind: TokenizerKind): Tokenizer {
  const builder = tokenizers[kind].vocabulary({ minFrequency: 1, maxSize: 300 });
  builder.push(TEXT);
  return builder.end();
}

export const configOf = (tokenizer: Tokenizer): Gpt2Config => ({
  ...gpt2Defaults,
  vocabSize: tokenizer.vocabSize,
  blockSize: 8,
  nLayer: 2,
  nHead: 2,
  nEmbd: 8,
  nInner: 32, // the default, which a model read from its config.json has
  dropout: 0.1,
});

/** Numbers that differ everywhere, so that no exchange of any two goes unseen. */
export function tensorsOf(config: ModelConfig): NamedTensor[] {
  let k = 0;
  return parameterTable(config).map(({ name, shape }) => ({
    name,
    shape,
    data: Float32Array.from({ length: elements(shape) }, () => Math.fround(Math.sin(++k))),
  }));
}

/** A model folder. @param edit changes the tensors before they are written */
export function writeModel(
  folder: string,
  kind: TokenizerKind,
  changes: Partial<Gpt2Config> = {},
  edit: (tensors: readonly NamedTensor[]) => void = () => {},
): void {
  const tokenizer = tokenizerOf(kind);
  const config = { ...configOf(tokenizer), ...changes };
  const tensors = tensorsOf(config);
  edit(tensors);
  writeModelDescription(folder, config, tokenizer);
  writeHostWeights(folder, config, tensors, { step: '9', ...modelFacts(config, tokenizer) });
}

/** An adapter, and the folder of its base in it. */
export function writeAdapter(folder: string): void {
  const base = join(folder, 'base');
  mkdirSync(base);
  writeModel(base, 'char');
  const tokenizer = tokenizerOf('char');
  const config = {
    ...configOf(tokenizer),
    lora: loraOf({ path: 'base', fingerprint: baseFingerprint(base) }),
  };
  writeModelDescription(folder, config, tokenizer);
  writeHostWeights(folder, config, tensorsOf(config), { step: '9', ...modelFacts(config, tokenizer) });
}

export const loraOf = (base: LoraConfig['base']): LoraConfig => ({
  rank: 2,
  alpha: 4,
  dropout: 0,
  targets: ['c_attn', 'mlp.c_proj'],
  isRankStabilized: false,
  base,
});

/** A model folder whose weights are in two files, without the marks of a model of ours. */
export function writeShardedModel(folder: string): void {
  const tokenizer = tokenizerOf('char');
  const config = configOf(tokenizer);
  writeModelDescription(folder, config, tokenizer);
  const { toTensorName } = architectureOf(config).huggingFace;
  const tensors = tensorsOf(config).map((tensor) => ({ ...tensor, name: toTensorName(tensor.name) }));
  const shardOf = Object.fromEntries(
    tensors.map(({ name }, i) => [name, `model-0000${(i % 2) + 1}-of-00002.safetensors`]),
  );
  for (const shard of new Set(Object.values(shardOf)))
    writeFileAtomic(
      join(folder, shard),
      safetensorsPieces(
        tensors.filter(({ name }) => shardOf[name] === shard),
        { format: 'pt' },
      ),
    );
  writeFileSync(join(folder, INDEX), JSON.stringify({ metadata: { total_size: 8160 }, weight_map: shardOf }));
}

/** A token file and its tokenizer.json. @param endId the token that ends documents; undefined: undivided */
export function writeTokens(folder: string, endId?: number): void {
  mkdirSync(folder, { recursive: true });
  const tokenizer = tokenizerOf('char');
  const json = JSON.stringify(tokenizer.toJSON());
  writeFileSync(join(folder, 'tokenizer.json'), json);
  writeTokenFile(join(folder, 'tokens.bin'), [encode(tokenizer, TEXT)], {
    vocabSize: tokenizer.vocabSize,
    tokenizerHash: createHash('sha256').update(json).digest(),
    endId,
  });
}

/** A safetensors file as others write it: several types, all numbers finite, no checksum. */
export function writeForeignTensors(path: string): void {
  const sizes = { F64: 8, I64: 8, F32: 4, F16: 2, BF16: 2, U8: 1, BOOL: 1 };
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(sizes).map(([dtype, size]) => [
      `t.${dtype}`,
      { dtype, shape: [2, 3], data_offsets: [end, (end += 6 * size)] },
    ]),
  );
  const json = Buffer.from(JSON.stringify({ ...header, __metadata__: { format: 'pt' } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(
    path,
    Buffer.concat([length, json, Buffer.from(Array.from({ length: end }, (_, i) => i % 0x60))]),
  );
}

/** The content of all files of a folder, by their path in it. */
export const contents = (folder: string): Map<string, Buffer> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => statSync(join(folder, file)).isFile())
      .map((file) => [file, readFileSync(join(folder, file))]),
  );

/** A tokenizer.json of test/fixtures/open_tokenizers.py. */
export function openTokenizer(name: string): string {
  const path = new URL('../fixtures/open_tokenizers.json', import.meta.url);
  const { models, shapes } = JSON.parse(readFileSync(path, 'utf8')) as {
    models: Record<string, object>;
    shapes: { name: string; model: string; steps: object; options: object }[];
  };
  const { model, steps, options } = shapes.find((shape) => shape.name === name)!;
  return JSON.stringify({ ...steps, model: { ...options, ...models[model] } });
}
