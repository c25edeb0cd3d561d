/**
 * Every reader of files, each with real files to damage and what must hold whatever was done to them. A reader may refuse
 * with a UserError. What it accepts must be what was written, wherever the files carry a checksum, and make sense elsewhere.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { applyConfigFile } from '../../src/cli/config.ts';
import { register } from '../../src/cli/train.ts';
import { INDEX } from '../../src/checkpoint/weights.ts';
import { LOCK, lockFolder } from '../../src/checkpoint/lock.ts';
import { readLogs } from '../../src/checkpoint/logs.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { fromConfigJson } from '../../src/checkpoint/huggingface.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { readTokenizer } from '../../src/checkpoint/tokenizer-files.ts';
import { LEGACY_STATE, STATE } from '../../src/checkpoint/checkpoint-folders.ts';
import { createRun, resumeRun } from '../../src/checkpoint/run.ts';
import {
  readTrainerState,
  STATE_FORMAT,
  trainerStateText,
  type TrainerState,
} from '../../src/checkpoint/trainer-state.ts';
import { IMPLIED, openCorpus } from '../../src/data/corpus.ts';
import { checkConfig } from '../../src/model/architectures/registry.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { hostTensor, type NamedTensor } from '../../src/model/tensor.ts';
import { elements, parameterTable } from '../../src/model/parameters.ts';
import { tokenizerFromJson, tokenizerKinds } from '../../src/tokenizer/registry.ts';
import { encode, END_OF_TEXT, type Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { readTrainingData } from '../../src/train/training-data.ts';
import {
  configOf,
  tensorsOf,
  TEXT,
  openTokenizer,
  tokenizerOf,
  writeAdapter,
  writeForeignTensors,
  writeModel,
  writeShardedModel,
  writeTokens,
} from './seeds.ts';

export interface ReaderCase {
  readonly name: string;
  /** Writes undamaged files into an empty folder. */
  readonly write: (folder: string) => void | Promise<void>;
  /** Which of them are damaged, one at a time. */
  readonly files: readonly string[];
  /** Reads the folder. Throws UserError, or AssertionError if something was accepted that must not be. */
  readonly read: (folder: string) => void;
  /** How often this one is tried, relative to the others. */
  readonly weight: number;
}

const bytesOf = (data: Float32Array): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** A file that is no more marked as ours is a file of somebody else, and they have no checksum. */
const isOurs = (metadata: Readonly<Record<string, string>>): boolean =>
  'gpt_trainer_format' in metadata || 'gpt_trainer_crc32' in metadata;

const modelFolders = tokenizerKinds.map((kind): ReaderCase => {
  const tokenizer = tokenizerOf(kind);
  const config = configOf(tokenizer);
  const tensors = tensorsOf(config);
  return {
    name: `model folder, ${kind}`,
    write: (folder) => writeModel(folder, kind),
    files: [
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'generation_config.json',
      'model.safetensors',
    ],
    read(folder) {
      const model = openModelFolder(folder);
      const into = blank(model.config);
      model.load(into);
      if (!isOurs(model.metadata)) return;
      assert.deepEqual({ ...model.config, dropout: config.dropout }, config);
      assert.deepEqual(modelOf(model.tokenizer), modelOf(tokenizer));
      assert.deepEqual(model.tokenizer.vocabulary, tokenizer.vocabulary);
      into.forEach(({ name, data }, i) => assert(bytesOf(data).equals(bytesOf(tensors[i].data)), name));
      assert.equal(model.metadata['step'], '9');
    },
    weight: 4,
  };
});

/** What the weights record of their tokenizer: Python's libraries write the rest of tokenizer.json anew. */
const modelOf = (tokenizer: Tokenizer): unknown =>
  tokenizer.modelJson?.() ?? (tokenizer.toJSON() as { readonly model: unknown }).model;

/** A model as transformers splits a large one; these files have no checksum. */
const shardedModel: ReaderCase = {
  name: 'sharded model',
  write: writeShardedModel,
  files: [INDEX, 'model-00001-of-00002.safetensors', 'generation_config.json', 'tokenizer_config.json'],
  read(folder) {
    const model = openModelFolder(folder);
    const into = blank(model.config);
    model.load(into);
    for (const { name, data } of into) assert(data.every(Number.isFinite), name);
    for (const id of model.tokenizer.special.endIds) assert(id < model.tokenizer.vocabSize);
  },
  weight: 3,
};

/** Low-rank adapters in PEFT's layout; their base is in a folder inside. */
const adapter: ReaderCase = {
  name: 'adapter',
  write: writeAdapter,
  files: ['adapter_config.json', 'adapter_model.safetensors', 'tokenizer.json', 'tokenizer_config.json'],
  read(folder) {
    const model = openModelFolder(folder);
    const into = blank(model.config);
    model.load(into);
    for (const { name, data } of into) assert(data.every(Number.isFinite), name);
    if (!isOurs(model.metadata)) return;
    const expected = tensorsOf(model.config).filter(({ name }) => name.includes('.lora_'));
    const found = into.filter(({ name }) => name.includes('.lora_'));
    found.forEach(({ name, data }, i) => assert(bytesOf(data).equals(bytesOf(expected[i].data)), name));
  },
  weight: 3,
};

const foreignTensors: ReaderCase = {
  name: 'safetensors of others',
  write: (folder) => writeForeignTensors(join(folder, 'x.safetensors')),
  files: ['x.safetensors'],
  read(folder) {
    const file = openSafetensors(join(folder, 'x.safetensors'));
    try {
      const floats = [...file.tensors.values()].filter(({ dtype }) => /^B?F/.test(dtype));
      for (const { name, shape } of floats) assert.equal(file.read(name).length, elements(shape));
      file.load(new Map(floats.map((tensor) => [tensor.name, hostTensor(tensor)])));
    } finally {
      file.close();
    }
  },
  weight: 3,
};

const config: ReaderCase = {
  name: 'config.json alone',
  write: (folder) => writeModel(folder, 'char'),
  files: ['config.json'],
  read(folder) {
    const path = join(folder, 'config.json');
    checkConfig(fromConfigJson(readFileSync(path, 'utf8'), path).config);
  },
  weight: 2,
};

const tokenizerFiles = tokenizerKinds.map((kind): ReaderCase => ({
  name: `tokenizer.json, ${kind}`,
  write: (folder) =>
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerOf(kind).toJSON())),
  files: ['tokenizer.json'],
  read(folder) {
    checkTokenizer(readTokenizer(join(folder, 'tokenizer.json')));
  },
  weight: 2,
}));

/** Tokenizers of other projects; a damaged pattern or step must not take long either. */
const openTokenizerFiles = [
  'llama3',
  'deepseek',
  'llama2',
  'mistral',
  'flags of added tokens, lower case',
].map((name): ReaderCase => ({
  name: `tokenizer.json like ${name}`,
  write: (folder) => writeFileSync(join(folder, 'tokenizer.json'), openTokenizer(name)),
  files: ['tokenizer.json'],
  read(folder) {
    checkTokenizer(readTokenizer(join(folder, 'tokenizer.json')));
  },
  weight: 1,
}));

/** What has been read must work, and be the same after it has been written. */
function checkTokenizer(tokenizer: Tokenizer): void {
  assert.equal(tokenizer.vocabulary.length, tokenizer.vocabSize);
  const ids = encode(tokenizer, TEXT);
  assert(ids.every((id) => id < tokenizer.vocabSize));
  tokenizer.decode(ids);
  const again = tokenizerFromJson(JSON.stringify(tokenizer.toJSON()), 'tokenizer.json');
  assert.deepEqual([...encode(again, TEXT)], [...ids]);
}

const vocabAndMerges: ReaderCase = {
  name: 'vocab.json, merges.txt and the files beside them',
  write(folder) {
    const { model } = tokenizerOf('bpe').toJSON() as { model: { vocab: object; merges: string[] } };
    writeFileSync(join(folder, 'vocab.json'), JSON.stringify(model.vocab));
    const lines = ['#version: 0.2', ...model.merges].map((line) => `${line}\n`);
    writeFileSync(join(folder, 'merges.txt'), lines.join(''));
    const size = Object.keys(model.vocab).length;
    const companions = {
      'tokenizer_config.json': { add_prefix_space: true, add_bos_token: true, pad_token: '[PAD]' },
      'special_tokens_map.json': { eos_token: { content: '</s>' }, additional_special_tokens: ['<s>'] },
      'added_tokens.json': { '[PAD]': size, '</s>': size + 1 },
    };
    for (const [file, json] of Object.entries(companions))
      writeFileSync(join(folder, file), JSON.stringify(json));
  },
  files: [
    'vocab.json',
    'merges.txt',
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
  ],
  read: (folder) => checkTokenizer(readTokenizer(folder)),
  weight: 3,
};

/** Left by process 1 at another time. Whatever is in a lock, a run gets the folder or is told who has it. */
const lock: ReaderCase = {
  name: 'run.lock',
  write(folder) {
    const { dev, ino } = statSync(folder, { bigint: true });
    const owner = { pid: 1, host: hostname(), started: 'long ago', folder: `${dev}:${ino}` };
    writeFileSync(join(folder, LOCK), `${JSON.stringify(owner)}\n`);
  },
  files: [LOCK],
  read(folder) {
    const mine = lockFolder(folder);
    mine.check();
    mine.release();
    assert(!existsSync(join(folder, LOCK)));
  },
  weight: 1,
};

const configFile: ReaderCase = {
  name: 'options in a file',
  write: (folder) => writeFileSync(join(folder, 'run.json'), JSON.stringify(exampleOptions)),
  files: ['run.json'],
  read(folder) {
    const train = new Command('train');
    register(train);
    applyConfigFile(train, join(folder, 'run.json'));
    const found = train.opts<Record<string, unknown>>();
    for (const [name, usual] of Object.entries(exampleOptions)) {
      const value = found[camelCase(name)] ?? usual;
      assert.equal(typeof value, typeof usual, name);
      if (typeof value === 'number') assert(Number.isFinite(value), name);
    }
  },
  weight: 1,
};

const exampleOptions = {
  corpus: ['book.txt'],
  'n-layer': 2,
  max_iters: 200,
  learningRate: 0.001,
  schedule: 'wsd',
  'out-dir': 'runs/first',
  overwrite: true,
};
const camelCase = (key: string): string => key.replace(/[-_](.)/g, (_, c: string) => c.toUpperCase());

const tokenFile = (endId: number | undefined): ReaderCase => ({
  name: endId === undefined ? 'token file' : 'token file of documents',
  write: (folder) => writeTokens(folder, endId),
  files: ['tokens.bin', 'tokenizer.json'],
  read(folder) {
    const data = readTrainingData({ corpus: [join(folder, 'tokens.bin')], valFraction: 0 });
    const { train, tokenizer } = data;
    try {
      assert.deepEqual(Array.from(train.slice(0, train.length)), [...encode(tokenizerOf('char'), TEXT)]);
      if (endId !== undefined) assert.equal(data.endId, endId);
      assert.equal(tokenizer.vocabSize, tokenizerOf('char').vocabSize);
    } finally {
      data.close();
    }
  },
  weight: 3,
});

const trainerState: ReaderCase = {
  name: STATE,
  write: (folder) => writeFileSync(join(folder, STATE), trainerStateText(exampleState)),
  files: [STATE],
  read: (folder) =>
    assert.deepEqual(readTrainerState(join(folder, STATE)), { format: STATE_FORMAT, ...exampleState }),
  weight: 2,
};

/** Of a run that was written before states had a checksum. */
const legacyTrainerState: ReaderCase = {
  name: LEGACY_STATE,
  write: (folder) =>
    writeFileSync(join(folder, LEGACY_STATE), JSON.stringify({ ...exampleState, format: 2 })),
  files: [LEGACY_STATE],
  read(folder) {
    const state = readTrainerState(join(folder, LEGACY_STATE));
    assert(Number.isSafeInteger(state.step) && state.step >= 0);
    assert.equal(typeof state.options, 'object');
  },
  weight: 1,
};

const exampleState: Omit<TrainerState, 'format'> = {
  step: 40,
  updates: 39,
  best_step: 20,
  best_loss: 2.5,
  evaluations_without_improvement: 1,
  good_step: 20,
  health: {
    recent_losses: [2.5, 2.25],
    overcome_spikes: [{ step: 30, loss: 7.5 }],
    skipped_in_a_row: 0,
    skipped_loss: null,
    rollbacks: 1,
    learning_rate_factor: 0.5,
  },
  tokens_seen: 2560,
  seed: 1337,
  corpus_sha256: 'ab'.repeat(32),
  validation_sha256: null,
  engine: 'wasm revectorize',
  log_bytes: { metrics: 120, samples: 0 },
  options: { corpus: ['corpus.txt'], outDir: 'out', nLayer: 1, maxIters: 40 },
  files: { 'config.json': 'cd'.repeat(32) },
};

/** Whatever is damaged in a run, resuming it restores what was written, or refuses. */
const resumedRun: ReaderCase = {
  name: 'run to be resumed',
  async write(folder) {
    const tokenizer = tokenizerOf('char');
    const modelConfig = configOf(tokenizer);
    const run = createRun(folder, modelConfig, tokenizer);
    const tensors = tensorsOf(modelConfig);
    run.log('metrics', { step: 40 });
    await run.saveBest(tensors, { step: '20', val_loss_estimate: '2.5' });
    const { files: _files, log_bytes: _logBytes, ...state } = exampleState;
    const trained = { parameters: tensors, moments: tensors, average: tensors, replicas: tensors };
    await run.saveCheckpoint(trained, state);
    run.close();
  },
  files: [
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
    'model.safetensors',
    'metrics.jsonl',
    `checkpoint-40/${STATE}`,
    'checkpoint-40/config.json',
    'checkpoint-40/tokenizer.json',
    'checkpoint-40/model.safetensors',
    'checkpoint-40/optimizer.safetensors',
    'checkpoint-40/average.safetensors',
    'checkpoint-40/replicas.safetensors',
    'checkpoint-40/best.safetensors',
  ],
  read(folder) {
    const { model: written } = exampleRun;
    const resumed = resumeRun(folder);
    try {
      const { checkpoint } = resumed;
      assert.deepEqual(checkpoint.state.options, exampleState.options);
      const moments = blank(written);
      checkpoint.loadMoments(moments);
      const parameters = blank(written);
      checkpoint.model.load(parameters);
      const average = blank(written);
      checkpoint.average!.load(average);
      const replicas = blank(written);
      checkpoint.loadReplicas(() => replicas);
      resumed.continue();
      const best = openModelFolder(folder);
      assert.deepEqual({ ...best.config, dropout: written.dropout }, written);
      assert.equal(best.metadata['step'], '20');
      const bestTensors = blank(written);
      best.load(bestTensors);
      for (const read of [moments, parameters, average, replicas, bestTensors])
        read.forEach(({ name, data }, i) =>
          assert(bytesOf(data).equals(bytesOf(exampleRun.tensors[i].data)), name),
        );
    } finally {
      resumed.close();
    }
  },
  weight: 4,
};

const exampleRun = {
  model: configOf(tokenizerOf('char')),
  tensors: tensorsOf(configOf(tokenizerOf('char'))),
};

/** Memory for all tensors of a model. */
const blank = (model: ModelConfig): NamedTensor[] => parameterTable(model).map(hostTensor);

const logs: ReaderCase = {
  name: 'logs of a run',
  write(folder) {
    const lines: Record<string, unknown[]> = {
      metrics: [
        { step: 1, loss: 4.5, lr: 0.001, grad_norm: 1.5 },
        { step: 1, train_loss_estimate: 4, val_loss_estimate: 4.25 },
      ],
      samples: [{ step: 1, text: 'Call me' }],
      speed: [{ step: 1, seconds: 0.25, tokens: 64 }],
    };
    mkdirSync(folder, { recursive: true });
    for (const [name, entries] of Object.entries(lines))
      writeFileSync(
        join(folder, `${name}.jsonl`),
        entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''),
      );
  },
  files: ['metrics.jsonl', 'samples.jsonl', 'speed.jsonl'],
  read(folder) {
    const { steps, evaluations, samples, speed } = readLogs(folder);
    for (const { step } of [...steps, ...evaluations, ...samples, ...speed])
      assert.equal(typeof step, 'number');
    for (const { text } of samples) assert.equal(typeof text, 'string');
  },
  weight: 2,
};

const encodings = { utf8: TEXT, 'utf16.le': `\ufeff${TEXT}`, 'utf16.be': `\ufeff${TEXT}` };

const corpus: ReaderCase = {
  name: 'text',
  write(folder) {
    writeFileSync(join(folder, 'utf8'), TEXT);
    const wide = Buffer.from(encodings['utf16.le'], 'utf16le');
    writeFileSync(join(folder, 'utf16.le'), wide);
    writeFileSync(join(folder, 'utf16.be'), Buffer.from(wide).swap16());
  },
  files: Object.keys(encodings),
  read(folder) {
    for (const file of Object.keys(encodings)) {
      const path = join(folder, file);
      const text = [...openCorpus([path], { encodingErrors: 'replace' }).text()].join('');
      assert(text.isWellFormed() && !text.includes('\0'));
      // Text that is accepted is the file, no more and no less.
      const strict = [...openCorpus([path], { encodingErrors: 'strict' }).text()].join('');
      assert.equal(strict, text);
      assert(encodedAlike(strict, readFileSync(path)));
    }
  },
  weight: 2,
};

function encodedAlike(text: string, bytes: Buffer): boolean {
  const wide = Buffer.from(`\ufeff${text}`, 'utf16le');
  return [Buffer.from(text), Buffer.from(`\ufeff${text}`), wide, Buffer.from(wide).swap16()].some((encoded) =>
    encoded.equals(bytes),
  );
}

const lines = TEXT.split('\n').slice(0, 40);
const documentFiles = {
  'a.jsonl': lines.map((text, n) => JSON.stringify({ n, text })).join('\n'),
  'a.csv': ['n,text', ...lines.map((text, n) => `${n},"${text.replaceAll('"', '""')}"`)].join('\n'),
};

const chats = lines
  .filter((line) => line !== '')
  .map((content, n) => ({
    messages: [
      { role: 'user', content: `${n}` },
      { role: 'assistant', content },
    ],
  }));

const conversations: ReaderCase = {
  name: 'conversations',
  write: (folder) =>
    writeFileSync(join(folder, 'a.jsonl'), chats.map((each) => JSON.stringify(each)).join('\n')),
  files: ['a.jsonl'],
  read(folder) {
    const opened = openCorpus([join(folder, 'a.jsonl')], {
      encodingErrors: 'replace',
      documents: 'chat',
      skipBadLines: true,
    });
    for (const { text, answers } of opened.chats())
      for (const [start, end] of answers) assert(text.slice(start, end).endsWith('<|im_end|>'));
    assert((opened.facts.documentCount ?? 0) <= chats.length + 1);
  },
  weight: 2,
};

const documents: ReaderCase = {
  name: 'documents',
  write(folder) {
    for (const [name, text] of Object.entries(documentFiles)) writeFileSync(join(folder, name), text);
  },
  files: Object.keys(documentFiles),
  read(folder) {
    for (const file of Object.keys(documentFiles)) {
      const opened = openCorpus([join(folder, file)], {
        encodingErrors: 'replace',
        documents: IMPLIED,
        skipBadLines: true,
      });
      const parts = [...opened.text()].join('').split(END_OF_TEXT);
      assert.equal(parts[0], '');
      assert.equal(parts.at(-1), '');
      assert(parts.every((part) => part.isWellFormed() && !part.includes('\0')));
    }
  },
  weight: 2,
};

export const readerCases: readonly ReaderCase[] = [
  ...modelFolders,
  shardedModel,
  adapter,
  foreignTensors,
  config,
  ...tokenizerFiles,
  ...openTokenizerFiles,
  vocabAndMerges,
  tokenFile(undefined),
  tokenFile(1),
  trainerState,
  legacyTrainerState,
  resumedRun,
  logs,
  lock,
  configFile,
  corpus,
  documents,
  conversations,
];
