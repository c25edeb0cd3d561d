/** The texts requested from `gpt sample`. */
import type { DecodingOptions } from '../../data/decode-text.ts';
import { UserError } from '../../errors.ts';
import { noticeIfTyped } from '../typed-input.ts';
import { openLines } from '../arriving-lines.ts';
import type { Prompt } from './prompts.ts';

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
  next(): Request | undefined;
  /** Waits for a request; false at the end. */
  wait(): Promise<boolean>;
}

/** `count` requests for one prompt. @param first index of the first sample */
export function severalTexts(prompt: Prompt, count: number, first = 0): Requests {
  let sample = first;
  return {
    next: () => (sample < first + count ? { prompt, index: 0, sample: sample++ } : undefined),
    wait: () => Promise.resolve(false),
  };
}

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
  if (file === '-') noticeIfTyped('prompts, one per line,');
  const lines = openLines(file, options);
  let count = 0;
  let prompt: Prompt | undefined;
  let sample = 0;
  let isClosed = false;
  return {
    next() {
      if (prompt === undefined) {
        const line = lines.next();
        if (line === undefined) return undefined;
        prompt = read(line, ++count);
        sample = 0;
      }
      const request = { prompt, index: count - 1, sample: sample++ };
      if (sample === samples) prompt = undefined;
      return request;
    },
    async wait() {
      if (prompt !== undefined || (await lines.wait())) return true;
      if (count > 0 || isClosed) return false;
      throw new UserError('empty-text', `${file === '-' ? 'stdin' : file} has no prompts`, {
        hint: 'give one prompt per line',
      });
    },
    close() {
      isClosed = true;
      lines.close();
    },
  };
}
