/**
 * What users type and files contain that cannot work: each gets its own words, an exit code and no stack. The messages stand
 * here in full, so that a change of one is seen and read.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeModel } from '../fuzz/seeds.ts';
import { runInProcess } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'bad-input-'));
const at = (name: string): string => join(folder, name);

const TINY = '--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 4 --max-iters 1 -o ./new';

beforeAll(() => {
  process.chdir(folder); // where there are no runs to be named in hints
  const files: Record<string, string | Uint8Array> = {
    'corpus.txt': 'the white whale and the sea.\n'.repeat(40),
    'empty.txt': '',
    'tokens/empty.bin': '',
    'mark.txt': '\ufeff',
    'one.txt': 'a',
    'short.txt': 'abc def ghi jkl\n',
    'latin1.txt': Buffer.from('caf\xe9 noir', 'latin1'),
    'utf16.txt': Buffer.from('no mark', 'utf16le'),
    'binary.dat': Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'),
    'nul.txt': 'abc\0def',
    'pictures/a.png': Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'),
    'pictures/caf\u00e9.txt': Buffer.from('caf\xe9 noir', 'latin1'),
    'pictures/.hidden.txt': 'hidden',
    'tokens/noise.bin': Buffer.alloc(100, 7),
    'model.gguf': 'GGUF\u0003\0\0\0',
    'ckpt.pt': Buffer.from('PK\x03\x04ckpt', 'latin1'),
    'adapter/adapter_config.json': '{}',
    'torch/config.json': '{}',
    'torch/pytorch_model.bin': Buffer.from('PK\x03\x04', 'latin1'),
  };
  for (const folderName of ['pictures', 'nothing', 'adapter', 'torch', 'tokens']) mkdirSync(at(folderName));
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
  damaged('cut', (model) => truncateSync(join(model, 'model.safetensors'), 5000));
  damaged('sparse', (model) => truncateSync(join(model, 'model.safetensors'), 5e9));
});

const table: readonly (readonly [name: string, line: string, code: number, ...stderr: string[]])[] = [
  ['a missing file', 'train ./missing.txt', 1, 'error: ./missing.txt: no such file or folder'],
  [
    'a folder with nothing in it',
    'train ./nothing',
    1,
    'error: the folder ./nothing has no text files',
    'hint: name files one by one to read them whatever they are',
  ],
  [
    'a folder without text',
    'train ./pictures',
    1,
    'error: the folder ./pictures has no text files; left out: 1 binary, 1 in another encoding, 1 hidden',
    'hint: name files one by one to read them whatever they are',
  ],
  [
    'a folder of a model',
    'tokenize ./model',
    1,
    'error: the folder ./model has no text files; left out: 1 binary, 4 of models and runs',
    'hint: name files one by one to read them whatever they are',
  ],
  [
    'a file of a folder that is no text, named itself',
    'train ./pictures/a.png',
    1,
    'error: ./pictures/a.png is not a text file: byte 8 is NUL',
    'hint: if it is UTF-16 without a byte order mark, name it with --encoding utf-16le; or use --encoding-errors replace',
  ],
  [
    'an empty file',
    'train ./empty.txt',
    1,
    'error: ./empty.txt: there is no text in it',
    'hint: give a text that is not empty',
  ],
  [
    'a byte order mark alone',
    'train ./mark.txt',
    1,
    'error: ./mark.txt: there is no text in it',
    'hint: give a text that is not empty',
  ],
  [
    'one character',
    `train ./one.txt ${TINY}`,
    2,
    'error: the training text has 0 tokens; a --block-size of 16 needs at least 17',
    'hint: use a longer text',
  ],
  [
    'a corpus shorter than a block',
    `train ./short.txt ${TINY}`,
    2,
    'error: the training text has 14 tokens; a --block-size of 16 needs at least 17',
    'hint: use a longer text, or a --block-size of at most 13',
  ],
  [
    'a validation split of one token',
    `train ./corpus.txt ${TINY} --val-fraction 0.0005`,
    2,
    'error: the validation text is a single token',
    'hint: use a larger --val-fraction',
  ],
  [
    'a text too short for a validation split',
    `train ./short.txt ${TINY} --block-size 14 --val-fraction 0.06`,
    2,
    'error: the validation text is a single token',
    'hint: use a longer text, or --val-fraction 0 to train on all of it',
  ],
  [
    'a validation file of one token',
    `train ./corpus.txt ${TINY} --val-file ./one.txt`,
    2,
    'error: the validation text is a single token',
    'hint: use a longer --val-file',
  ],
  [
    'an empty validation file',
    `train ./corpus.txt ${TINY} --val-file ./empty.txt`,
    1,
    'error: ./empty.txt: there is no text in it',
    'hint: give a text that is not empty',
  ],
  [
    'a binary file',
    'train ./binary.dat',
    1,
    'error: ./binary.dat is not a text file: byte 8 is NUL',
    'hint: if it is UTF-16 without a byte order mark, name it with --encoding utf-16le; or use --encoding-errors replace',
  ],
  [
    'a binary file as token file',
    'train ./tokens/noise.bin',
    1,
    'error: ./tokens/noise.bin: is not a token file',
    `hint: make it again with \`gpt tokenize corpus.txt -o ./tokens\``,
  ],
  [
    'invalid UTF-8',
    'train ./latin1.txt',
    1,
    'error: ./latin1.txt: byte 3 is not valid UTF-8',
    'hint: name the encoding of the text, such as --encoding latin1, or use --encoding-errors replace',
  ],
  [
    'UTF-16 without a mark',
    'train ./utf16.txt',
    1,
    'error: ./utf16.txt is not a text file: byte 1 is NUL',
    'hint: if it is UTF-16 without a byte order mark, name it with --encoding utf-16le; or use --encoding-errors replace',
  ],
  [
    '5 GB of nothing',
    'train ./sparse.txt',
    1,
    'error: ./sparse.txt is not a text file: byte 0 is NUL',
    'hint: if it is UTF-16 without a byte order mark, name it with --encoding utf-16le; or use --encoding-errors replace',
  ],
  [
    '5 GB of nothing as a tokenizer',
    'tokenize ./corpus.txt -m ./sparse.txt',
    1,
    'error: ./sparse.txt has 5000000000 bytes; at most 256000000 are read',
    'hint: this is no file of that kind; use another copy',
  ],
  [
    'a NUL',
    'train ./nul.txt',
    1,
    'error: ./nul.txt is not a text file: byte 3 is NUL',
    'hint: if it is UTF-16 without a byte order mark, name it with --encoding utf-16le; or use --encoding-errors replace',
  ],
  [
    'half a character in the prompt',
    'sample -m ./model --prompt \ud800',
    1,
    'error: the model does not know "�" (U+FFFD) at position 1 of the prompt',
    'hint: it was not in the training text; leave it out, or use --unk skip or --unk replace',
  ],
  [
    'unknown characters',
    'sample -m ./model --prompt ж',
    1,
    'error: the model does not know "ж" (U+0436) at position 1 of the prompt',
    'hint: it was not in the training text; leave it out, or use --unk skip or --unk replace',
  ],
  [
    'an empty vocabulary',
    `train ./corpus.txt ${TINY} --tokenizer word --min-frequency 1000`,
    1,
    'error: nothing in the text occurs 1000 times, as --min-frequency asks',
    'hint: use a smaller --min-frequency or a longer text',
  ],
  [
    'a vocabulary of one',
    `train ./corpus.txt ${TINY} --tokenizer word --vocab-size 1`,
    2,
    'error: --vocab-size: "1" is not a whole number of at least 2',
    'hint: see gpt train --help',
  ],
  [
    'heads that do not divide',
    'train ./corpus.txt --n-embd 10 --n-head 3',
    2,
    'error: --n-head 3 does not divide --n-embd 10',
    'hint: each head gets an equal share of the channels: use --n-head 2 or 5, or --n-embd 12',
  ],
  [
    'zero',
    'train ./corpus.txt --n-layer 0',
    2,
    'error: --n-layer: "0" is not a whole number of at least 1',
    'hint: see gpt train --help',
  ],
  [
    'a negative number',
    'train ./corpus.txt --batch-size -1',
    2,
    'error: --batch-size: "-1" is not a whole number of at least 1',
    'hint: see gpt train --help',
  ],
  [
    'not a number',
    'train ./corpus.txt --learning-rate NaN',
    2,
    'error: --learning-rate: "NaN" is not a number of at least 0',
    'hint: see gpt train --help',
  ],
  [
    'infinity',
    'train ./corpus.txt --weight-decay Infinity',
    2,
    'error: --weight-decay: "Infinity" is not a number of at least 0',
    'hint: see gpt train --help',
  ],
  [
    'a fraction for a whole number',
    'train ./corpus.txt --max-iters 1.5',
    2,
    'error: --max-iters: "1.5" is not a whole number from 1 to 4294967296',
    'hint: see gpt train --help',
  ],
  [
    'more micro-batches than there are numbers for',
    'train ./corpus.txt --gradient-accumulation-steps 9007199254740991',
    2,
    'error: --gradient-accumulation-steps: "9007199254740991" is not a whole number from 1 to 1073741824',
    'hint: see gpt train --help',
  ],
  [
    'more time than there is',
    'plan ./corpus.txt --minutes 1e300',
    2,
    'error: --minutes: "1e300" is not a number above 0 and of at most 10000000',
    'hint: see gpt plan --help',
  ],
  [
    'a number that is none in JavaScript',
    'train ./corpus.txt --max-iters 1e999',
    2,
    'error: --max-iters: "1e999" is not a whole number from 1 to 4294967296',
    'hint: see gpt train --help',
  ],
  [
    'more than whole numbers go to',
    'train ./corpus.txt --seed 9007199254740993',
    2,
    'error: --seed: "9007199254740993" is not a whole number of at least 0',
    'hint: see gpt train --help',
  ],
  [
    'a number in words',
    'sample -m ./model -n many',
    2,
    'error: --max-tokens: "many" is not a whole number of at least 1',
    'hint: see gpt sample --help',
  ],
  [
    'a probability above one',
    'sample -m ./model --top-p 1.5',
    2,
    'error: --top-p: "1.5" is not a number from 0 to 1',
    'hint: see gpt sample --help',
  ],
  [
    'a negative temperature',
    'sample -m ./model --temperature -1',
    2,
    'error: --temperature: "-1" is not a number of at least 0',
    'hint: see gpt sample --help',
  ],
  [
    'certain dropout',
    'train ./corpus.txt --dropout 1',
    2,
    'error: --dropout: "1" is not a number of at least 0 and below 1',
    'hint: see gpt train --help',
  ],
  [
    'a billion layers',
    'train ./corpus.txt --n-layer 1e9',
    2,
    'error: --n-layer is 1000000000; at most 1000 are supported',
    'hint: see gpt train --help',
  ],
  [
    'a trillion channels',
    'train ./corpus.txt --threads 1 --n-head 1 --n-embd 1e12',
    1,
    'error: this needs 3.84e+17 GB of memory; the engine can address 4.24 GB',
    "hint: use a smaller model: parameters, gradients and the optimiser's moments alone take 3.84e+17 GB",
  ],
  [
    'a billion sequences',
    `train ./corpus.txt --threads 1 ${TINY} --batch-size 1e9`,
    1,
    'error: this needs 16064.00 GB of memory; the engine can address 4.24 GB',
    'hint: try --batch-size 244140 --gradient-accumulation-steps 4097, which needs 3.92 GB',
  ],
  [
    'a hundred threads',
    'eval ./corpus.txt -m ./model --threads 100',
    2,
    'error: --threads: "100" is not a whole number from 1 to 64',
    'hint: see gpt eval --help',
  ],
  [
    'a block longer than the trained one',
    'train ./corpus.txt --init-from ./model --block-size 9',
    2,
    'error: --block-size 9 is longer than the 8 that ./model was trained with',
    'hint: leave it out, or give at most 8',
  ],
  [
    'a stride longer than the trained block',
    'eval ./corpus.txt -m ./model --stride 9',
    2,
    'error: --stride 9 is longer than the block of ./model, 8: it would leave tokens out',
    'hint: use a stride of 1 to 8',
  ],
  [
    'an unknown preset',
    'train ./corpus.txt --preset gtp2',
    2,
    'error: --preset: "gtp2" is not one of nano, baby, gpt2, gpt2-medium, gpt2-large, gpt2-xl, gpt3-125m, gpt3-350m, gpt3-760m, gpt3-1.3b, gpt3-2.7b, gpt3-6.7b, gpt3-13b, gpt3-175b',
    'hint: see gpt train --help',
  ],
  [
    'an unknown flag',
    'train ./corpus.txt --n-layr 3',
    2,
    "error: unknown option '--n-layr'",
    'hint: did you mean --n-layer? Or see gpt train --help',
  ],
  [
    'an unknown command',
    'trian ./corpus.txt',
    2,
    "error: unknown command 'trian'",
    'hint: did you mean train? Or see gpt --help',
  ],
  ['no text at all', 'train', 2, 'error: no text was given', 'hint: name a file or folder, or - for stdin'],
  [
    'a folder that is taken',
    'train ./corpus.txt -o ./model',
    1,
    'error: ./model exists and is not empty',
    'hint: name another --out-dir, continue it with --resume, or replace it with --overwrite',
  ],
  [
    'a file for a folder',
    `train ./corpus.txt ${TINY} -o ./one.txt`,
    1,
    'error: ./one.txt is a file; a run needs a folder',
  ],
  [
    'a file for the folder of a tokenizer',
    'tokenize ./corpus.txt -o ./one.txt',
    1,
    'error: ./one.txt is a file, not a folder',
  ],
  [
    'a page in a missing folder',
    'report ./model -o ./missing/page.html',
    1,
    'error: ./missing/page.html cannot be written: there is no folder ./missing',
    'hint: make it first: mkdir -p ./missing',
  ],
  [
    'a comparison in a missing folder',
    'compare ./model ./words --html ./missing/page.html',
    1,
    'error: ./missing/page.html cannot be written: there is no folder ./missing',
    'hint: make it first: mkdir -p ./missing',
  ],
  [
    'an empty config file',
    'train ./corpus.txt --config ./empty.txt',
    1,
    'error: ./empty.txt is empty',
    'hint: it should be like { "max-iters": 500 }',
  ],
  [
    'an empty file of prompts',
    'sample -m ./model --prompts ./empty.txt',
    1,
    'error: ./empty.txt has no prompts',
    'hint: give one prompt a line',
  ],
  [
    'an empty prompt file',
    'sample -m ./model --prompt-file ./empty.txt',
    1,
    'error: ./empty.txt has no text for the prompt',
    'hint: to write without a prompt, leave --prompt and --prompt-file out',
  ],
  [
    'an empty token file',
    'train ./tokens/empty.bin',
    1,
    'error: ./tokens/empty.bin: is not a token file',
    `hint: make it again with \`gpt tokenize corpus.txt -o ./tokens\``,
  ],
  [
    'an empty text for baselines',
    'eval ./corpus.txt -m ./model --baselines --baseline-text ./empty.txt',
    1,
    'error: ./empty.txt: there is no text in it',
    'hint: give a text that is not empty',
  ],
  [
    'an empty tokenizer',
    'tokenize ./corpus.txt -m ./empty.txt',
    1,
    'error: ./empty.txt: is empty',
    'hint: char and word tokenizers of `gpt` and byte-level BPE, as GPT-2 has it, can be read',
  ],
  ...['inspect ./model --logits', 'inspect ./model --attention', 'inspect ./model --neighbors'].map(
    (line) =>
      [
        'an empty text to inspect with',
        `${line} `,
        2,
        `error: ${line.split(' ')[2]}: "" is not a text of at least one character`,
        'hint: see gpt inspect --help',
      ] as const,
  ),
  [
    'no model',
    'sample -m ./nowhere',
    1,
    'error: there is no model folder ./nowhere',
    'hint: there is no model under checkpoints/ yet; train one with `gpt train corpus.txt`',
  ],
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
        "error: ./model.gguf is a GGUF file, llama.cpp's format, which is not read here",
        'hint: use the Hugging Face folder that it was converted from',
      ] as const,
  ),
  [
    'a checkpoint of nanoGPT',
    'eval ./corpus.txt -m ./ckpt.pt',
    1,
    "error: ./ckpt.pt is a checkpoint of PyTorch's, which is not read here",
    'hint: examples/from_nanogpt.py converts a checkpoint of nanoGPT; docs/bring-a-model.md has others',
  ],
  [
    'an adapter',
    'sample -m ./adapter',
    1,
    'error: ./adapter is a PEFT adapter, not a whole model',
    `hint: merge it into its base model: python -c "import sys; from peft import AutoPeftModelForCausalLM as M; M.from_pretrained(sys.argv[1]).merge_and_unload().save_pretrained('merged')" ./adapter, and copy the base model's tokenizer files there`,
  ],
  [
    'the tokenizer of an adapter without one',
    'tokenize ./corpus.txt -m ./adapter',
    1,
    'error: ./adapter is a PEFT adapter, not a whole model',
    `hint: merge it into its base model: python -c "import sys; from peft import AutoPeftModelForCausalLM as M; M.from_pretrained(sys.argv[1]).merge_and_unload().save_pretrained('merged')" ./adapter, and copy the base model's tokenizer files there`,
  ],
  [
    'a config.json with a wrong type',
    'sample -m ./wrong-type',
    1,
    'error: ./wrong-type/config.json: "n_layer" is "1", not a whole number of at least 1',
    'hint: correct the file, or use another copy',
  ],
  [
    'a config.json of another model',
    'sample -m ./other-shape',
    1,
    'error: ./other-shape/model.safetensors lacks the tensor "h.2.ln_1.weight" that config.json asks for',
    'hint: the weights and config.json belong to different models',
  ],
  [
    'the options of a folder that is no run',
    'train ./corpus.txt --config ./model',
    1,
    'error: ./model has no checkpoint, and so no record of its options',
    'hint: name the folder of a run, or a JSON file like { "max-iters": 500 }',
  ],
  [
    'weights in pytorch_model.bin',
    'sample -m ./torch',
    1,
    'error: ./torch has its weights in pytorch_model.bin; only safetensors are read',
    `hint: convert it once: python -c "import sys; from transformers import AutoModelForCausalLM as M; M.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])" ./torch`,
  ],
  [
    'a name of the hub',
    'train ./corpus.txt --init-from distilbert/distilgpt2',
    1,
    'error: there is no model folder distilbert/distilgpt2',
    'hint: download it first, for instance with: hf download distilbert/distilgpt2 --local-dir distilgpt2',
  ],
  [
    'GPT-2',
    'train ./corpus.txt --init-from gpt2',
    1,
    'error: there is no model folder gpt2',
    'hint: download it first, for instance with: hf download openai-community/gpt2 config.json generation_config.json tokenizer.json model.safetensors --local-dir gpt2',
  ],
  [
    'a file for a model',
    'sample -m ./corpus.txt',
    1,
    'error: ./corpus.txt is a file, not a model folder',
    'hint: name the folder that holds config.json',
  ],
  [
    'a folder that is no model',
    'sample -m ./pictures',
    1,
    'error: ./pictures has no config.json',
    'hint: a model folder has config.json, model.safetensors, and tokenizer.json or vocab.json and merges.txt',
  ],
  [
    'a model without config',
    'sample -m ./without-config.json',
    1,
    'error: ./without-config.json has no config.json',
    'hint: a model folder has config.json, model.safetensors, and tokenizer.json or vocab.json and merges.txt',
  ],
  [
    'a model without tokenizer',
    'sample -m ./without-tokenizer.json',
    1,
    'error: ./without-tokenizer.json has no tokenizer.json, nor vocab.json and merges.txt',
    'hint: copy the tokenizer of the model there: tokenizer.json, or vocab.json and merges.txt',
  ],
  [
    'a model without weights',
    'sample -m ./without-model.safetensors',
    1,
    'error: ./without-model.safetensors has no model.safetensors: its training has not saved one yet',
  ],
  [
    'a tokenizer of another size',
    'eval ./corpus.txt -m ./other-vocabulary',
    1,
    'error: ./other-vocabulary: config.json has a vocab_size of 27, its tokenizer has 19 tokens',
    'hint: the two belong to different models',
  ],
  [
    'a tokenizer of the same size',
    'sample -m ./other-characters',
    1,
    'error: ./other-characters: tokenizer.json is not the one that model.safetensors was trained with',
    'hint: the two belong to different models, or one was changed by hand',
  ],
  [
    'a model from a newer version',
    'sample -m ./newer',
    1,
    'error: ./newer/config.json: is from a newer version of gpt (format 2; this one reads 1)',
    'hint: update gpt to read it',
  ],
  [
    'weights with one bit changed',
    'sample -m ./one-bit --prompt C',
    1,
    'error: ./one-bit/model.safetensors: the checksum is d30c53cb, but it was written with "a6939556"',
    'hint: the file is damaged or was not written completely; use another copy',
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
        'error: ./not-finite/model.safetensors: "transformer.h.1.mlp.c_fc.weight" holds NaN (element 3 of 256)',
        'hint: the training that wrote it diverged; use an earlier checkpoint or another copy',
      ] as const,
  ),
  [
    'a damaged generation_config.json',
    'sample -m ./garbage',
    1,
    'error: ./garbage/generation_config.json: is not JSON',
    'hint: the file is damaged; use another copy, or delete it: config.json then says where texts start and end',
  ],
  [
    'weights cut short',
    'sample -m ./cut',
    1,
    'error: ./cut/model.safetensors: the tensors take 8160 bytes, but the file has 2224 for them',
    'hint: the file is damaged or was not written completely; use another copy',
  ],
  [
    'weights followed by 5 GB of nothing',
    'sample -m ./sparse',
    1,
    'error: ./sparse/model.safetensors: the tensors take 8160 bytes, but the file has 4999997224 for them',
    'hint: the file is damaged or was not written completely; use another copy',
  ],
  [
    'a run to go on with that is none',
    'train --resume ./pictures',
    1,
    'error: ./pictures has no checkpoint to resume from',
    'hint: name the folder of a run: the one with checkpoint-… in it',
  ],
  [
    'a name of the hub to resume',
    'train --resume distilbert/distilgpt2',
    1,
    'error: there is no run distilbert/distilgpt2',
    'hint: download it first, for instance with: hf download distilbert/distilgpt2 --local-dir distilgpt2; then train it in a new run with --init-from',
  ],
  [
    'a run that does not exist',
    'train --resume ./nowhere',
    1,
    'error: there is no run ./nowhere',
    'hint: there is no model under checkpoints/ yet; train one with `gpt train corpus.txt`',
  ],
  [
    'a file to resume',
    'train --resume ./corpus.txt',
    1,
    'error: ./corpus.txt is a file, not a run',
    'hint: name the folder of a run: the one with checkpoint-… in it',
  ],
  [
    'an adapter to resume',
    'train --resume ./adapter',
    1,
    'error: ./adapter is a PEFT adapter, not a whole model',
    `hint: merge it into its base model: python -c "import sys; from peft import AutoPeftModelForCausalLM as M; M.from_pretrained(sys.argv[1]).merge_and_unload().save_pretrained('merged')" ./adapter, and copy the base model's tokenizer files there`,
  ],
  [
    'a model without a checkpoint to resume',
    'train --resume ./model',
    1,
    'error: ./model is a model without a checkpoint to resume from',
    'hint: to train its model further in a new run: gpt train corpus.txt --init-from ./model',
  ],
  [
    'a tokenizer for the folder of a model',
    'tokenize ./corpus.txt -o ./model',
    1,
    'error: ./model has a model, which would get another tokenizer',
    'hint: name another folder with -o',
  ],
  [
    'one token to judge',
    'eval ./one.txt -m ./model',
    1,
    'error: the text is a single token; nothing can be predicted',
    'hint: give a longer text',
  ],
];

describe('refused in plain words', () => {
  test.each(table.map(([name, line, code, ...stderr]) => ({ name, line, code, stderr })))(
    '$name: $line',
    async ({ line, code, stderr }) => {
      const args = line.split(' ').map((arg) => (arg.startsWith('./') ? at(arg.slice(2)) : arg));
      const result = await runInProcess(args);
      expect(result.stderr.replaceAll(`${folder}/`, './').trimEnd().split('\n')).toEqual(stderr);
      expect(result.code).toBe(code);
    },
  );
});
