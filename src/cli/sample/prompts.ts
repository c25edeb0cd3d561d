/** Prompts from a flag, a file or a pipe. */
import { fileChunks, stdinChunks } from '../../data/file-chunks.ts';
import { decodeText, startDecoding, type DecodingOptions } from '../../data/decode-text.ts';
import { UTF8 } from '../../data/encodings.ts';
import { UsageError, UserError } from '../../errors.ts';
import { encodePrompt, startOfText, type Unk } from '../../generate/prompt.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { notice } from '../terminal.ts';
import { isTyped, noticeIfTyped } from '../typed-input.ts';

export interface Prompt {
  /** Empty to start a new text. */
  readonly text: string;
  readonly ids: Uint32Array;
}

/** The prompt given by flags or piped to stdin; undefined if there is none. */
export function readPrompt(flags: {
  prompt?: string;
  promptFile?: string;
  encoding?: string;
}): string | undefined {
  const { prompt, promptFile, encoding = UTF8 } = flags;
  const decoding = { encoding };
  if (promptFile !== undefined && promptFile !== '-')
    return readAll(fileChunks(promptFile), promptFile, decoding) ?? refuseEmpty(promptFile);
  if (prompt !== undefined && prompt !== '-') {
    if (prompt === '')
      throw new UsageError('empty-text', '--prompt is empty', { hint: 'omit it to start without a prompt' });
    return prompt.toWellFormed();
  }
  const asked = prompt === '-' || promptFile === '-';
  if (!asked && isTyped()) return undefined;
  noticeIfTyped('the prompt');
  return readAll(stdinChunks(), 'stdin', decoding) ?? (asked ? refuseEmpty('stdin') : undefined);
}

/** An explicitly given empty prompt is more likely a mistake than a request for none. */
function refuseEmpty(name: string): never {
  throw new UserError('empty-text', `${name} has no text for the prompt`, {
    hint: 'to sample without a prompt, omit --prompt and --prompt-file',
  });
}

/** The text without its final line break, which `echo` and editors append and a prompt rarely intends. */
function readAll(chunks: Iterable<Uint8Array>, name: string, decoding: DecodingOptions): string | undefined {
  const text = [...decodeText(chunks, startDecoding(name, decoding))].join('');
  const prompt = text.replace(/\r?\n$/, '');
  return prompt === '' ? undefined : prompt;
}

/** Encodes a prompt and reports unknown text in it. @param place for messages: ' in line 3' */
export function encode(tokenizer: Tokenizer, text: string, unk: Unk, place = ''): Prompt {
  if (text === '') return { text, ids: startOfText(tokenizer).ids };
  const { ids, unknown } = encodePrompt(tokenizer, text, unk, place);
  if (unknown > 0)
    notice(
      `${unknown} unknown ${unknown === 1 ? 'token was' : 'tokens were'} ${unk === 'skip' ? 'removed from' : 'replaced in'} the prompt${place}`,
    );
  return { text, ids };
}

/** Prints a notice if the prompt is truncated to the context length. */
export function noticeOfLength({ ids }: Prompt, blockSize: number, place = ''): void {
  if (ids.length > blockSize)
    notice(`The prompt${place} has ${ids.length} tokens; the model sees the last ${blockSize}.`);
}
