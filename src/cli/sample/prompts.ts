/** Prompts from a flag, a file, a pipe, or a file with one per line. */
import { createReadStream } from 'node:fs';
import { fileChunks, stdinChunks } from '../../data/file-chunks.ts';
import { decodeText, startDecoding, type DecodingOptions } from '../../data/decode-text.ts';
import { UTF8 } from '../../data/encodings.ts';
import { isSystemError, UsageError, UserError } from '../../errors.ts';
import { encodePrompt, startOfText, type Unk } from '../../generate/prompt.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { notice } from '../terminal.ts';
import { isTyped, noticeIfTyped } from '../typed-input.ts';

/** A prompt. */
export interface Prompt {
  /** Empty to start a new text. */
  readonly text: string;
  readonly ids: Uint32Array;
}

/** A requested text. */
export interface Request {
  readonly prompt: Prompt;
  /** Index of the prompt, and of the sample for it. */
  readonly index: number;
  readonly sample: number;
}

/** A queue of requests that may grow. */
export interface Requests {
  /** The next request, if it has arrived. */
  take(): Request | undefined;
  /** Waits for a request; false at the end. */
  more(): Promise<boolean>;
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
      throw new UsageError('empty-text', '--prompt is empty', { hint: 'leave it out to start from nothing' });
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
    hint: 'to write without a prompt, leave --prompt and --prompt-file out',
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
      `${unknown} unknown ${unknown === 1 ? 'token was' : 'tokens were'} ${unk === 'skip' ? 'left out of' : 'replaced in'} the prompt${place}`,
    );
  return { text, ids };
}

/** Notice if the prompt is truncated to the context length. */
export function noticeOfLength({ ids }: Prompt, blockSize: number, place = ''): void {
  if (ids.length > blockSize)
    notice(`The prompt${place} has ${ids.length} tokens; the model sees the last ${blockSize}.`);
}

/** `count` requests for one prompt. @param first index of the first sample */
export function severalTexts(prompt: Prompt, count: number, first = 0): Requests {
  let sample = first;
  return {
    take: () => (sample < first + count ? { prompt, index: 0, sample: sample++ } : undefined),
    more: () => Promise.resolve(false),
  };
}

/** Lines read ahead; the rest stays in the pipe. */
const AHEAD = 64;

/**
 * One prompt per line, from a file or from stdin. Lines are answered as they arrive, so a program can send one and wait for
 * the answer.
 *
 * @param file `-` for stdin
 * @param read converts a line to a prompt; line numbers start at 1
 */
export function promptLines(
  file: string,
  samples: number,
  read: (line: string, number: number) => Prompt,
  options: DecodingOptions,
): Requests & { close(): void } {
  const stream = file === '-' ? process.stdin : createReadStream(file);
  const name = file === '-' ? 'stdin' : file;
  if (file === '-') noticeIfTyped('prompts, one a line,');
  const decoding = startDecoding(name, options);
  const lines: string[] = [];
  let rest = '';
  let taken = 0;
  let ended = false;
  let failure: unknown;
  let wake = (): void => {};
  const end = (error?: unknown): void => {
    if (isSystemError(error)) error.path ??= name;
    failure ??= error;
    ended = true;
    wake();
  };
  const accept = (chunk: Uint8Array | undefined): void => {
    try {
      const text = chunk === undefined ? decoding.end() : decoding.push(chunk);
      const pieces = (rest + text).split('\n');
      rest = pieces.pop() ?? '';
      for (const line of pieces) lines.push(line.replace(/\r$/, ''));
    } catch (error) {
      end(error);
    }
  };
  stream.on('data', (chunk: Uint8Array) => {
    accept(chunk);
    if (lines.length > AHEAD) stream.pause();
    wake();
  });
  stream.on('end', () => {
    accept(undefined);
    if (rest !== '') lines.push(rest);
    end(
      taken + lines.length === 0
        ? new UserError('empty-text', `${name} has no prompts`, { hint: 'give one prompt a line' })
        : undefined,
    );
  });
  stream.on('error', end);

  let prompt: Prompt | undefined;
  let sample = 0;
  const available = (): boolean => prompt !== undefined || lines.length > 0;
  const waiting = (): boolean => !available() && !ended;
  return {
    take() {
      if (failure !== undefined) throw failure;
      if (prompt === undefined) {
        const line = lines.shift();
        if (line === undefined) return undefined;
        if (lines.length < AHEAD && stream.isPaused()) stream.resume();
        prompt = read(line, ++taken);
        sample = 0;
      }
      const request = { prompt, index: taken - 1, sample: sample++ };
      if (sample === samples) prompt = undefined;
      return request;
    },
    async more() {
      while (waiting()) await new Promise<void>((resolve) => (wake = resolve));
      if (failure !== undefined) throw failure;
      return available();
    },
    close() {
      stream.destroy();
      end();
    },
  };
}
