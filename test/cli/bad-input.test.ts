/**
 * Commands and files that cannot work. A row has the exit code, the code of the error, and the names, values and commands that
 * message and hint must mention: what is wrong, where, and what to do. Their wording is free.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, test, vi } from 'vitest';
import { writeModel } from '../fuzz/seeds.ts';
import { expectRefusal, type Refusal } from './in-process.ts';

// Of the ten seconds that a template may take, a third of one is enough to see that it is ended.
vi.mock(import('../../src/chat/chat-template.ts'), async (original) => {
  const { ChatTemplate, ...others } = await original();
  class ImpatientTemplate extends ChatTemplate {
    constructor(...[source, options]: ConstructorParameters<typeof ChatTemplate>) {
      super(source, { ...options, timeout: 0.3 });
    }
  }
  return { ...others, ChatTemplate: ImpatientTemplate };
});

const folder = mkdtempSync(join(tmpdir(), 'bad-input-'));
const at = (name: string): string => join(folder, name);

const TINY = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 1 -o ./new';

/** A line with a conversation of messages of these roles. */
const messages = (...roles: string[]): string =>
  `${JSON.stringify({ messages: roles.map((role) => ({ role, content: 'CIA' })) })}\n`;

beforeAll(() => {
  process.chdir(folder); // where there are no runs to be named in hints
  const files: Record<string, string | Uint8Array> = {
    'corpus.txt': 'the white whale and the sea.\n'.repeat(40),
    'empty.txt': '',
    'tokens/empty.bin': '',
    'mark.txt': '\ufeff',
    'one.txt': 'a',
    'unspaced.txt': 'ไทยภาษา'.repeat(300),
    'repetitive.txt': 'ab'.repeat(5000),
    'short.txt': 'abc def ghi jkl\n',
    'latin1.txt': Buffer.from('caf\xe9 noir', 'latin1'),
    'utf16.txt': Buffer.from('no mark', 'utf16le'),
    'binary.dat': Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'),
    'nul.txt': 'abc\0def',
    'pictures/a.png': Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'),
    'pictures/caf\u00e9.txt': Buffer.from('caf\xe9 noir', 'latin1'),
    'pictures/.hidden.txt': 'hidden',
    'tokens/noise.bin': Buffer.alloc(100, 7),
    'broken.jsonl': '{"text":"abc"}\n{"text":"abc}\n',
    'body.csv': 'id,body\n1,x\n',
    'hollow.jsonl': '{"text":""}\n{"text":""}\n',
    'order.jsonl': messages('user', 'user', 'assistant'),
    'late.jsonl': messages('user', 'assistant', 'system'),
    'dialogue.jsonl': messages('user', 'assistant'),
    'model.gguf': 'GGUF\u0003\0\0\0',
    'ckpt.pt': Buffer.from('PK\x03\x04ckpt', 'latin1'),
    'adapter/adapter_config.json': '{}',
    'torch/config.json': '{}',
    'keras/config.json': '{"gpt_trainer_format":1}',
    'keras/tf_model.h5': 'HDF',
    'half/config.json': '{"gpt_trainer_format":1}',
    'half/model.fp16.safetensors': '',
    'torch/pytorch_model.bin': Buffer.from('PK\x03\x04', 'latin1'),
  };
  for (const folderName of ['keras', 'half', 'pictures', 'nothing', 'adapter', 'torch', 'tokens'])
    mkdirSync(at(folderName));
  for (const [name, content] of Object.entries(files)) writeFileSync(at(name), content);
  writeFileSync(at('sparse.txt'), '');
  truncateSync(at('sparse.txt'), 5e9);
  writeModel(at('model'), 'char');
  writeModel(at('words'), 'word');
  writeModel(at('not-finite'), 'char', {}, (tensors) => {
    tensors.find(({ name }) => name === 'h.1.mlp.c_fc.weight')!.data[3] = NaN;
  });
  // Models in which one thing is wrong.
  const damaged = (name: string, damage: (model: string) => void): void => {
    cpSync(at('model'), at(name), { recursive: true });
    damage(at(name));
  };
  const edit = (file: string, change: (json: Record<string, unknown>) => void): void => {
    const json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(file, JSON.stringify(json));
  };
  for (const file of ['config.json', 'tokenizer.json', 'model.safetensors'])
    damaged(`without-${file}`, (model) => rmSync(join(model, file)));
  damaged('other-vocabulary', (model) => cpSync(at('words/tokenizer.json'), join(model, 'tokenizer.json')));
  damaged('other-characters', (model) =>
    edit(join(model, 'tokenizer.json'), ({ model: exchanged }) => {
      const { vocab } = exchanged as { vocab: Record<string, number> };
      [vocab['C'], vocab['I']] = [vocab['I'], vocab['C']];
    }),
  );
  damaged('wrong-type', (model) => edit(join(model, 'config.json'), (json) => (json['n_layer'] = '1')));
  damaged('other-shape', (model) => edit(join(model, 'config.json'), (json) => (json['n_layer'] = 3)));
  damaged('newer', (model) => edit(join(model, 'config.json'), (json) => (json['gpt_trainer_format'] = 2)));
  damaged('one-bit', (model) => {
    const bytes = readFileSync(join(model, 'model.safetensors'));
    bytes[bytes.length - 100] ^= 1;
    writeFileSync(join(model, 'model.safetensors'), bytes);
  });
  damaged('garbage', (model) => writeFileSync(join(model, 'generation_config.json'), 'garbage'));
  damaged('endless', (model) =>
    writeFileSync(
      join(model, 'chat_template.jinja'),
      '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}',
    ),
  );
  damaged('cut', (model) => truncateSync(join(model, 'model.safetensors'), 5000));
  damaged('sparse', (model) => truncateSync(join(model, 'model.safetensors'), 5e9));
});

const table: readonly (readonly [name: string, line: string, ...Refusal])[] = [
  ['a missing file', 'train ./missing.txt', 1, 'ENOENT', './missing.txt'],
  ['a folder with nothing in it', 'train ./nothing', 1, 'empty-text', './nothing'],
  ['a folder without text', 'train ./pictures', 1, 'empty-text', './pictures … 1'],
  ['a folder of a model', 'tokenize ./model', 1, 'empty-text', './model … 1 … 4'],
  [
    'a file of a folder that is no text, named itself',
    'train ./pictures/a.png',
    1,
    'not-text',
    './pictures/a.png … byte 8 … NUL … UTF-16 … --encoding … utf-16le … --encoding-errors',
  ],
  ['an empty file', 'train ./empty.txt', 1, 'empty-text', './empty.txt'],
  ['a byte order mark alone', 'train ./mark.txt', 1, 'empty-text', './mark.txt'],
  ['one character', `train ./one.txt ${TINY}`, 2, 'text-too-short', '0 tokens … at least 2'],
  [
    'a corpus shorter than a block',
    `train ./short.txt ${TINY}`,
    2,
    'text-too-short',
    '14 … --block-size … 16 … 17 … 13',
  ],
  [
    'words of a script without spaces',
    `train ./unspaced.txt ${TINY} --tokenizer word --rare-words unk`,
    1,
    'unsuitable-tokenizer',
    '2100 … --tokenizer word … --tokenizer char',
  ],
  [
    'a text that is a single bpe token',
    `train ./repetitive.txt ${TINY} --tokenizer bpe`,
    1,
    'unsuitable-tokenizer',
    '10000 … --tokenizer bpe … --tokenizer char',
  ],
  [
    'a validation split of one token',
    `train ./corpus.txt ${TINY} --val-fraction 0.0005`,
    2,
    'text-too-short',
    '--val-fraction',
  ],
  [
    'a validation split that leaves too little, in a run with a time limit',
    'train ./corpus.txt --n-layer 1 --n-head 1 --n-embd 8 --block-size 64 --val-fraction 0.99 --minutes 1',
    2,
    'text-too-short',
    'the training split has … --block-size of 64 needs at least 65 … smaller --val-fraction',
  ],
  [
    'a text too short for a validation split',
    `train ./short.txt ${TINY} --block-size 14 --val-fraction 0.06`,
    2,
    'text-too-short',
    '--val-fraction … 0',
  ],
  [
    'a validation file of one token',
    `train ./corpus.txt ${TINY} --val-file ./one.txt`,
    2,
    'text-too-short',
    '--val-file',
  ],
  [
    'an empty validation file',
    `train ./corpus.txt ${TINY} --val-file ./empty.txt`,
    1,
    'empty-text',
    './empty.txt',
  ],
  [
    'a binary file',
    'train ./binary.dat',
    1,
    'not-text',
    './binary.dat … byte 8 … NUL … UTF-16 … --encoding … utf-16le … --encoding-errors',
  ],
  [
    'a binary file as token file',
    'train ./tokens/noise.bin',
    1,
    'wrong-file-kind',
    './tokens/noise.bin … gpt tokenize corpus.txt -o ./tokens',
  ],
  [
    'invalid UTF-8',
    'train ./latin1.txt',
    1,
    'not-text',
    './latin1.txt … byte 3 … UTF-8 … --encoding … --encoding-errors',
  ],
  [
    'UTF-16 without a mark',
    'train ./utf16.txt',
    1,
    'not-text',
    './utf16.txt … byte 1 … NUL … UTF-16 … --encoding … utf-16le … --encoding-errors',
  ],
  [
    '5 GB of nothing',
    'train ./sparse.txt',
    1,
    'not-text',
    './sparse.txt … byte 0 … NUL … UTF-16 … --encoding … utf-16le … --encoding-errors',
  ],
  [
    '5 GB of nothing as a tokenizer',
    'tokenize ./corpus.txt -m ./sparse.txt',
    1,
    'file-too-large',
    './sparse.txt … 5000000000 … 256000000',
  ],
  [
    'a NUL',
    'train ./nul.txt',
    1,
    'not-text',
    './nul.txt … byte 3 … NUL … UTF-16 … --encoding … utf-16le … --encoding-errors',
  ],
  [
    'half a character in the prompt',
    'sample -m ./model --prompt \ud800',
    1,
    'not-in-vocabulary',
    '"�" … U+FFFD … position 1 … --unk',
  ],
  [
    'unknown characters',
    'sample -m ./model --prompt ж',
    1,
    'not-in-vocabulary',
    '"ж" … U+0436 … position 1 … --unk',
  ],
  [
    'an empty vocabulary',
    `train ./corpus.txt ${TINY} --tokenizer word --rare-words unk --min-frequency 1000`,
    1,
    'unsuitable-tokenizer',
    '1000 … --min-frequency',
  ],
  [
    'a vocabulary too small to spell words',
    `train ./corpus.txt ${TINY} --tokenizer word --vocab-size 5`,
    2,
    'unsuitable-tokenizer',
    '5 … --vocab-size … --rare-words unk',
  ],
  [
    'a vocabulary of one',
    `train ./corpus.txt ${TINY} --tokenizer word --vocab-size 1`,
    2,
    'bad-option-value',
    '--vocab-size … "1" … 2 … --help',
  ],
  [
    'heads that do not divide',
    'train ./corpus.txt --n-embd 10 --n-head 3',
    2,
    'bad-option-value',
    '--n-head … 3 … --n-embd … 10 … 2 … 5 … 12',
  ],
  ['zero', 'train ./corpus.txt --n-layer 0', 2, 'bad-option-value', '--n-layer … "0" … 1 … --help'],
  [
    'a negative number',
    'train ./corpus.txt --batch-size -1',
    2,
    'bad-option-value',
    '--batch-size … "-1" … --help',
  ],
  [
    'not a number',
    'train ./corpus.txt --learning-rate NaN',
    2,
    'bad-option-value',
    '--learning-rate … "NaN" … 0 … --help',
  ],
  [
    'infinity',
    'train ./corpus.txt --weight-decay Infinity',
    2,
    'bad-option-value',
    '--weight-decay … "Infinity" … 0 … --help',
  ],
  [
    'a fraction for a whole number',
    'train ./corpus.txt --max-iters 1.5',
    2,
    'bad-option-value',
    '--max-iters … "1.5" … 4294967296 … --help',
  ],
  [
    'more micro-batches than there are numbers for',
    'train ./corpus.txt --gradient-accumulation-steps 9007199254740991',
    2,
    'bad-option-value',
    '--gradient-accumulation-steps … "9007199254740991" … 1073741824 … --help',
  ],
  [
    'more time than there is',
    'plan ./corpus.txt --minutes 1e300',
    2,
    'bad-option-value',
    '--minutes … "1e300" … 10000000 … --help',
  ],
  [
    'a number that is none in JavaScript',
    'train ./corpus.txt --max-iters 1e999',
    2,
    'bad-option-value',
    '--max-iters … "1e999" … 4294967296 … --help',
  ],
  [
    'more than whole numbers go to',
    'train ./corpus.txt --seed 9007199254740993',
    2,
    'bad-option-value',
    '--seed … "9007199254740993" … --help',
  ],
  [
    'a number in words',
    'sample -m ./model -n many',
    2,
    'bad-option-value',
    '--max-tokens … "many" … 1 … --help',
  ],
  [
    'a probability above one',
    'sample -m ./model --top-p 1.5',
    2,
    'bad-option-value',
    '--top-p … "1.5" … 0 … --help',
  ],
  [
    'a negative temperature',
    'sample -m ./model --temperature -1',
    2,
    'bad-option-value',
    '--temperature … "-1" … 0 … --help',
  ],
  [
    'certain dropout',
    'train ./corpus.txt --dropout 1',
    2,
    'bad-option-value',
    '--dropout … "1" … 0 … --help',
  ],
  [
    'a billion layers',
    'train ./corpus.txt --n-layer 1e9',
    2,
    'bad-option-value',
    '--n-layer … 1000000000 … --help',
  ],
  [
    'a trillion channels',
    'train ./corpus.txt --threads 1 --n-head 1 --n-embd 1e12',
    1,
    'out-of-memory',
    '2.88e+17 … 4.24',
  ],
  [
    'a billion sequences',
    `train ./corpus.txt --threads 1 ${TINY} --batch-size 1e9`,
    1,
    'out-of-memory',
    '16128.00 … 4.24 … --batch-size … 244140 … --gradient-accumulation-steps … 4097 … 3.92',
  ],
  [
    'a hundred threads',
    'eval ./corpus.txt -m ./model --threads 100',
    2,
    'bad-option-value',
    '--threads … "100" … 64 … --help',
  ],
  [
    'an initialization of weights that are read',
    'train ./corpus.txt --init-from ./model --initialization fan-in',
    2,
    'commander.conflictingOption',
    '--initialization … --init-from',
  ],
  [
    'a block longer than the trained one',
    'train ./corpus.txt --init-from ./model --block-size 9',
    2,
    'bad-option-value',
    '--block-size … 9 … 8 … ./model',
  ],
  [
    'a stride longer than the trained block',
    'eval ./corpus.txt -m ./model --stride 9',
    2,
    'bad-option-value',
    '--stride … 9 … ./model … 8 … 1',
  ],
  [
    'an unknown preset',
    'train ./corpus.txt --preset gtp2',
    2,
    'bad-option-value',
    '--preset … "gtp2" … nano, baby, gpt2, gpt2-medium … --help',
  ],
  [
    'an unknown flag',
    'train ./corpus.txt --n-layr 3',
    2,
    'commander.unknownOption',
    '--n-layr … --n-layer … --help',
  ],
  ['an unknown command', 'trian ./corpus.txt', 2, 'commander.unknownCommand', 'trian … train … --help'],
  ['a command of other tools', 'generate', 2, 'commander.unknownCommand', 'generate … sample? … --help'],
  [
    'an argument too many for a command that takes none',
    'doctor now',
    2,
    'commander.excessArguments',
    '1.\nhint: see gpt doctor --help',
  ],
  [
    'a value that an argument does not accept, named without brackets',
    'bench tiny',
    2,
    'bad-option-value',
    'error: model: "tiny"',
  ],
  ['no text at all', 'train', 2, 'missing-argument'],
  [
    'a folder that is taken',
    'train ./corpus.txt -o ./model',
    1,
    'output-exists',
    './model … --out-dir … --resume … --overwrite',
  ],
  ['a file for a folder', `train ./corpus.txt ${TINY} -o ./one.txt`, 1, 'wrong-file-kind', './one.txt'],
  [
    'a file for the folder of a tokenizer',
    'tokenize ./corpus.txt -o ./one.txt',
    1,
    'wrong-file-kind',
    './one.txt',
  ],
  [
    'a page in a missing folder',
    'report ./model -o ./missing/page.html',
    1,
    'write-failed',
    './missing/page.html … mkdir -p ./missing',
  ],
  [
    'a comparison in a missing folder',
    'compare ./model ./words --html ./missing/page.html',
    1,
    'write-failed',
    './missing/page.html … mkdir -p ./missing',
  ],
  [
    'an empty config file',
    'train ./corpus.txt --config ./empty.txt',
    1,
    'damaged-file',
    './empty.txt … { "max-iters": 500 }',
  ],
  ['an empty file of prompts', 'sample -m ./model --prompts ./empty.txt', 1, 'empty-text', './empty.txt'],
  [
    'an empty prompt file',
    'sample -m ./model --prompt-file ./empty.txt',
    1,
    'empty-text',
    './empty.txt … --prompt … --prompt-file',
  ],
  [
    'an empty token file',
    'train ./tokens/empty.bin',
    1,
    'wrong-file-kind',
    './tokens/empty.bin … gpt tokenize corpus.txt -o ./tokens',
  ],
  [
    'an empty text for baselines',
    'eval ./corpus.txt -m ./model --baselines --baseline-text ./empty.txt',
    1,
    'empty-text',
    './empty.txt',
  ],
  [
    'an empty tokenizer',
    'tokenize ./corpus.txt -m ./empty.txt',
    1,
    'unsupported-format',
    './empty.txt … GPT-2',
  ],
  ...['inspect ./model --logits', 'inspect ./model --attention', 'inspect ./model --neighbors'].map(
    (line) =>
      [
        'an empty text to inspect with',
        `${line} `,
        2,
        'bad-option-value',
        `${line.split(' ')[2]} … "" … gpt inspect --help`,
      ] as const,
  ),
  ['no model', 'sample -m ./nowhere', 1, 'file-not-found', './nowhere … checkpoints/ … gpt train corpus.txt'],
  ...[
    'sample -m',
    'inspect',
    'report',
    'tokenize ./corpus.txt -m',
    'train ./corpus.txt --init-from',
    'train --resume',
  ].map(
    (line) =>
      [
        'a GGUF file',
        `${line} ./model.gguf`,
        1,
        'unsupported-format',
        './model.gguf … GGUF … llama.cpp',
      ] as const,
  ),
  [
    'a checkpoint of nanoGPT',
    'eval ./corpus.txt -m ./ckpt.pt',
    1,
    'unsupported-format',
    './ckpt.pt … examples/from_nanogpt.py … docs/bring-a-model.md',
  ],
  [
    'an adapter without its settings',
    'sample -m ./adapter',
    1,
    'damaged-file',
    'adapter_config.json … peft_type',
  ],
  [
    'weights of another library',
    'sample -m ./keras',
    1,
    'unsupported-format',
    './keras … tf_model.h5 … model.safetensors … save_pretrained',
  ],
  [
    'weights under another name',
    'sample -m ./half',
    1,
    'unsupported-format',
    './half … model.fp16.safetensors … rename it to model.safetensors',
  ],
  [
    'the tokenizer of an adapter without one',
    'tokenize ./corpus.txt -m ./adapter',
    1,
    'file-not-found',
    './adapter … tokenizer.json',
  ],
  [
    'a config.json with a wrong type',
    'sample -m ./wrong-type',
    1,
    'damaged-file',
    'wrong-type/config.json … "n_layer" … "1"',
  ],
  [
    'a config.json of another model',
    'sample -m ./other-shape',
    1,
    'mismatched-files',
    'other-shape/model.safetensors … "h.2.ln_1.weight" … config.json',
  ],
  [
    'the options of a folder that is no run',
    'train ./corpus.txt --config ./model',
    1,
    'no-checkpoint',
    './model … { "max-iters": 500 }',
  ],
  [
    'weights in pytorch_model.bin',
    'sample -m ./torch',
    1,
    'unsupported-format',
    './torch … pytorch_model.bin … python',
  ],
  [
    'a name of the hub',
    'train ./corpus.txt --init-from distilbert/distilgpt2',
    1,
    'file-not-found',
    'distilbert/distilgpt2 … hf … --local-dir',
  ],
  [
    'GPT-2',
    'train ./corpus.txt --init-from gpt2',
    1,
    'file-not-found',
    'gpt2 … hf … openai-community/gpt2 … config.json … generation_config.json … tokenizer.json … model.safetensors … --local-dir',
  ],
  [
    'the address of a model on the hub',
    'sample -m https://huggingface.co/distilbert/distilgpt2',
    1,
    'file-not-found',
    'hf download distilbert/distilgpt2 --local-dir distilgpt2',
  ],
  ['a file for a model', 'sample -m ./corpus.txt', 1, 'wrong-file-kind', './corpus.txt … config.json'],
  [
    'a folder that is no model',
    'sample -m ./pictures',
    1,
    'file-not-found',
    './pictures … config.json … model.safetensors … tokenizer.json … vocab.json … merges.txt',
  ],
  [
    'a model without config',
    'sample -m ./without-config.json',
    1,
    'file-not-found',
    './without-config.json … model.safetensors … tokenizer.json … vocab.json … merges.txt',
  ],
  [
    'a model without tokenizer',
    'sample -m ./without-tokenizer.json',
    1,
    'file-not-found',
    './without-tokenizer.json … vocab.json … merges.txt',
  ],
  [
    'a model without weights',
    'sample -m ./without-model.safetensors',
    1,
    'no-checkpoint',
    './without-model.safetensors',
  ],
  [
    'a tokenizer of another size',
    'eval ./corpus.txt -m ./other-vocabulary',
    1,
    'mismatched-files',
    './other-vocabulary … config.json … vocab_size … 27 … 19',
  ],
  [
    'a tokenizer of the same size',
    'sample -m ./other-characters',
    1,
    'mismatched-files',
    './other-characters … tokenizer.json … model.safetensors',
  ],
  ['a model from a newer version', 'sample -m ./newer', 1, 'newer-version', 'newer/config.json … 2 … 1'],
  [
    'weights with one bit changed',
    'sample -m ./one-bit --prompt C',
    1,
    'damaged-file',
    'one-bit/model.safetensors … d30c53cb … "a6939556"',
  ],
  ...[
    'sample -m ./not-finite --prompt C',
    'eval ./corpus.txt -m ./not-finite',
    'inspect ./not-finite',
    'inspect ./not-finite --logits C',
    'inspect ./not-finite --neighbors C',
    'report ./not-finite -o -',
    'train ./corpus.txt --init-from ./not-finite --max-iters 1 -o ./new',
  ].map(
    (line) =>
      [
        'weights that are not finite',
        line,
        1,
        'damaged-file',
        'not-finite/model.safetensors … "transformer.h.1.mlp.c_fc.weight" … NaN … 3 … 256',
      ] as const,
  ),
  [
    'a damaged generation_config.json',
    'sample -m ./garbage',
    1,
    'damaged-file',
    'garbage/generation_config.json',
  ],
  ['weights cut short', 'sample -m ./cut', 1, 'damaged-file', 'cut/model.safetensors … 8160 … 2224'],
  [
    'weights followed by 5 GB of nothing',
    'sample -m ./sparse',
    1,
    'damaged-file',
    'sparse/model.safetensors … 8160 … 4999997224',
  ],
  ['a folder to resume that is not a run', 'train --resume ./pictures', 1, 'no-checkpoint', './pictures'],
  [
    'a name of the hub to resume',
    'train --resume distilbert/distilgpt2',
    1,
    'file-not-found',
    'distilbert/distilgpt2 … hf … --local-dir … --init-from',
  ],
  [
    'a run that does not exist',
    'train --resume ./nowhere',
    1,
    'file-not-found',
    './nowhere … checkpoints/ … gpt train corpus.txt',
  ],
  ['a file to resume', 'train --resume ./corpus.txt', 1, 'wrong-file-kind', './corpus.txt'],
  ['an adapter to resume', 'train --resume ./adapter', 1, 'no-checkpoint', './adapter'],
  [
    'a model without a checkpoint to resume',
    'train --resume ./model',
    1,
    'no-checkpoint',
    './model … corpus.txt … --init-from',
  ],
  [
    'a tokenizer for the folder of a model',
    'tokenize ./corpus.txt -o ./model',
    1,
    'output-exists',
    './model … -o',
  ],
  [
    'a line of JSON lines that is not JSON',
    'train ./broken.jsonl',
    1,
    'damaged-file',
    './broken.jsonl:2 … JSON … --skip-bad-lines',
  ],
  [
    'a line of JSON lines without the field',
    'train ./broken.jsonl --documents jsonl:body',
    1,
    'damaged-file',
    './broken.jsonl:1 … "body" … --skip-bad-lines',
  ],
  [
    'CSV without the column',
    'train ./body.csv',
    1,
    'damaged-file',
    './body.csv … "text" … "body" … --documents csv:',
  ],
  ['documents that are all empty', 'train ./hollow.jsonl', 1, 'empty-text', './hollow.jsonl … documents'],
  [
    'two messages of a role in a row',
    'train ./order.jsonl',
    1,
    'damaged-file',
    './order.jsonl:1 … user … 1 and 2 … --skip-bad-lines',
  ],
  [
    'a system message that is not the first',
    'train ./late.jsonl',
    1,
    'damaged-file',
    './late.jsonl:1 … system … 3 … --skip-bad-lines',
  ],
  ...[
    'train ./dialogue.jsonl --init-from ./endless --max-iters 1 -o ./new',
    'eval ./dialogue.jsonl -m ./endless',
  ].map(
    (line) =>
      [
        'a chat template that loops for ever',
        line,
        1,
        'bad-template',
        './endless … 0.3 s, or more than … another template',
      ] as const,
  ),
  ['one token to judge', 'eval ./one.txt -m ./model', 1, 'text-too-short'],
];

describe('is refused with the fault, its place and a remedy', () => {
  test.each(table.map(([name, line, ...refusal]) => ({ name, line, refusal })))(
    '$name: $line',
    async ({ line, refusal }) => {
      await expectRefusal(line.split(' '), refusal);
    },
  );
});
