/** Recognizes models in formats that cannot be read, with a hint for each on how to convert it. */
import { closeSync, existsSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { UserError, type ErrorCode } from '../errors.ts';
import { openRegularFile } from '../read-file.ts';
import { shellQuoted } from '../shell-quote.ts';
import { stateFileOf } from './checkpoint-folders.ts';
import { hasOwnConfig } from './own-config.ts';
import { hintForMissingRun } from './runs.ts';
import { INDEX, WEIGHTS } from './weights.ts';

const COMPLETE = `a model folder holds config.json, ${WEIGHTS}, and tokenizer.json (or vocab.json and merges.txt)`;

/** GPT-2's short names on the Hugging Face hub, under openai-community. */
const GPT2_NAMES: ReadonlySet<string> = new Set(['gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl']);

/** The error for a path that is not a model folder; undefined if it has a config.json and weights. */
export function whyNoModel(path: string): UserError | undefined {
  if (!existsSync(path))
    return problem('file-not-found', `there is no model folder ${path}`, hintForMissingModel(path));
  const foreign = foreignModel(path);
  if (foreign !== undefined) return foreign;
  if (!statSync(path).isDirectory())
    return problem(
      'wrong-file-kind',
      `${path} is a file, not a model folder`,
      'give the folder that holds config.json',
    );
  const files = readdirSync(path);
  if (!files.includes('config.json') && stateFileOf(path) !== undefined)
    return problem(
      'no-checkpoint',
      `${path} was pruned: only its state is left`,
      `the best model of the run is in ${dirname(path)}`,
    );
  if (!files.includes('config.json'))
    return problem('file-not-found', `${path} has no config.json`, COMPLETE);
  if (hasWeights(files)) return undefined;
  return hasOwnConfig(path)
    ? new UserError('no-checkpoint', `${path} has no ${WEIGHTS}: its training has not saved one yet`, {
        hint: 'the first evaluation of a run saves its model',
      })
    : problem('file-not-found', `${path} has no ${WEIGHTS}`, COMPLETE);
}

/** The error for a file or folder in a known format that cannot be read; undefined otherwise. */
export function foreignModel(path: string): UserError | undefined {
  if (!statSync(path).isDirectory()) return foreignFile(path);
  const files = readdirSync(path);
  const has = (name: string): boolean => files.includes(name);
  if (has('config.json') && hasWeights(files)) return undefined;
  if (has('config.json') && (has('pytorch_model.bin') || has('pytorch_model.bin.index.json')))
    return problem(
      'unsupported-format',
      `${path} has its weights in pytorch_model.bin; only safetensors is supported`,
      toSafetensors(path),
    );
  const other = files.find((name) => /\.(gguf|pt|pth|ckpt)$/i.test(name));
  const named = other === undefined ? undefined : foreignFile(join(path, other));
  return named ?? (has('config.json') ? otherWeights(path, files) : undefined);
}

/** The error for a folder whose weights have another name, or are those of another library. */
function otherWeights(path: string, files: readonly string[]): UserError | undefined {
  const file = files.find((name) => /\.(safetensors|bin|h5|msgpack|onnx|npz)$/i.test(name));
  if (file === undefined) return undefined;
  return problem(
    'unsupported-format',
    `${path} has its weights in ${file}; only ${WEIGHTS} can be read`,
    file.endsWith('.safetensors')
      ? `if that is the whole model, rename it to ${WEIGHTS}`
      : `save the model with save_pretrained of transformers, which writes ${WEIGHTS}`,
  );
}

const hasWeights = (files: readonly string[]): boolean => files.includes(WEIGHTS) || files.includes(INDEX);

/** Hint for a path that does not exist: download the Hugging Face model it names, or name a run. */
export const hintForMissingModel = (path: string): string => hubHint(path) ?? hintForMissingRun(path);

const HUB_ADDRESS = /^(https?:\/\/)?(www\.)?(huggingface\.co|hf\.co)\//;

/** How to download the Hugging Face model that a path names; undefined if it names none. */
export function hubHint(path: string): string | undefined {
  const name = path.replace(HUB_ADDRESS, '');
  const isHubName = /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name) && !existsSync(dirname(path));
  const repository = GPT2_NAMES.has(name) ? `openai-community/${name}` : isHubName ? name : undefined;
  if (repository === undefined) return undefined;
  const files = GPT2_NAMES.has(basename(repository))
    ? ' config.json generation_config.json tokenizer.json model.safetensors'
    : '';
  return `download it first: hf download ${repository}${files} --local-dir ${basename(repository)}`;
}

/** `foreignModel` for a file. */
export function foreignFile(path: string): UserError | undefined {
  const start = firstBytes(path);
  if (start === 'GGUF')
    return problem(
      'unsupported-format',
      `${path} is a GGUF file (llama.cpp), which is not supported`,
      'use the Hugging Face folder it was converted from',
    );
  if (extname(path) === '.safetensors')
    return problem(
      'wrong-file-kind',
      `${path} contains only weights`,
      'give its folder, with config.json and tokenizer.json',
    );
  // torch.save writes a zip archive, or a pickle before PyTorch 1.6
  if (!start.startsWith('PK\x03\x04') && !start.startsWith('\x80\x02')) return undefined;
  return extname(path) === '.bin'
    ? problem(
        'unsupported-format',
        `${path} holds PyTorch weights; only safetensors is supported`,
        toSafetensors(dirname(path)),
      )
    : problem(
        'unsupported-format',
        `${path} is a PyTorch checkpoint, which is not supported`,
        'examples/from_nanogpt.py converts a checkpoint of nanoGPT; docs/bring-a-model.md has others',
      );
}

/** The first four bytes as characters; empty for a pipe or device. */
function firstBytes(path: string): string {
  let fd: number;
  try {
    ({ fd } = openRegularFile(path));
  } catch {
    return '';
  }
  try {
    const bytes = Buffer.alloc(4);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, 4, 0));
  } finally {
    closeSync(fd);
  }
}

const toSafetensors = (folder: string): string =>
  `convert it once: ${python(`from transformers import AutoModelForCausalLM as M; M.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])`, folder)}`;

/** The path is passed as an argument, because inside the program it would need two levels of quoting. */
const python = (program: string, path: string): string =>
  `python -c "import sys; ${program}" ${shellQuoted(path)}`;

const problem = (code: ErrorCode, message: string, hint: string): UserError =>
  new UserError(code, message, { hint });
