import { encodePrompt } from '../generate/prompt.ts';
import type { TokenSource } from '../data/token-source.ts';
import { UserError } from '../errors.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Number of places tried in the text, and tokens read at each. */
const [PLACES, TOKENS] = [32, 64];
const [SHORTEST, LONGEST] = [3, 24];

/**
 * A few words of a text as an example prompt: preferably the start of a line, printable, and in the model's vocabulary.
 * Undefined if there are none.
 */
export function examplePrompt(text: TokenSource, tokenizer: Tokenizer): string | undefined {
  const last = Math.max(0, text.length - TOKENS);
  for (let i = 0; i < PLACES; i++) {
    const start = Math.floor((last * i) / (PLACES - 1));
    const read = tokenizer.decode(Array.from(text.slice(start, Math.min(text.length, start + TOKENS))));
    // The first and last words may be truncated.
    const [first, ...lines] = read.replace(/\s\S*$/u, '').split(/\r?\n/);
    const prompt = [...lines, first.replace(/^\S*\s+/, '')]
      .map(firstWords)
      .find((words) => words !== undefined && isKnown(words, tokenizer));
    if (prompt !== undefined) return prompt;
  }
  return undefined;
}

/** The whole words at the start of a line, up to LONGEST characters; undefined if they are not just words. */
function firstWords(line: string): string | undefined {
  const words = line.trim().split(' ');
  let text = Array.from(words[0]).slice(0, LONGEST).join(''); // some scripts have no spaces
  for (const word of words.slice(1)) {
    if (text.length + 1 + word.length > LONGEST) break;
    text += ` ${word}`;
  }
  text = text.replace(/[\s\p{P}]+$/u, '');
  const isPlain = /^\p{L}[\p{L}\p{M}\p{N} '’,.-]*$/u.test(text);
  return isPlain && text.length >= SHORTEST && text.length <= LONGEST ? text : undefined;
}

function isKnown(text: string, tokenizer: Tokenizer): boolean {
  try {
    return encodePrompt(tokenizer, text, 'error').ids.length > 0;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}
