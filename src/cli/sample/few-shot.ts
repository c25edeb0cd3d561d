/**
 * `--few-shot`: examples before the prompt. They are as many of the first documents of a file as fit in the context together
 * with the prompt and the text to be generated, for which `maxTokens` are reserved, but at most half of the context.
 */
import { openCorpus } from '../../data/corpus.ts';
import type { DecodingOptions } from '../../data/decode-text.ts';
import { CHAT, impliedDocuments } from '../../data/documents/format.ts';
import { UsageError, UserError } from '../../errors.ts';
import { knownRecord } from '../../evaluate/training-text.ts';
import { formatCountOf, formatNumber } from '../../format.ts';
import { encodePrompt, type Unk } from '../../generate/prompt.ts';
import { endOfTextToken, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { notice, printable } from '../terminal.ts';
import { encode, type Prompt } from './prompts.ts';

export interface Examples {
  /** Stop strings that end an example, for models without an end-of-document token. */
  readonly stop: readonly string[];
  /** The prompt with the examples before it, which are in its ids but not in its text. */
  before(prompt: string, place: string): Prompt;
}

interface ExampleOptions extends DecodingOptions {
  readonly model: string;
  readonly tokenizer: Tokenizer;
  readonly unk: Unk;
  readonly context: number;
  readonly maxTokens: number;
}

const BLANK_LINE = '\n\n';

export function readExamples(file: string, options: ExampleOptions): Examples {
  const { model, tokenizer, unk, context, maxTokens } = options;
  const end = (knownRecord(model)?.documents ?? 'whole') === 'whole' ? undefined : endOfTextToken(tokenizer);
  const examples = documentsOf(file, options).slice(0, context); // each takes at least one token
  const textOf = (count: number, prompt: string): string => {
    const chosen = examples.slice(0, count);
    return end === undefined
      ? [...chosen, prompt].join(BLANK_LINE)
      : [end, ...chosen.flatMap((example) => [example, end]), prompt].join('');
  };
  const room = context - Math.min(maxTokens, Math.floor(context / 2));
  let told = false; // once, not per prompt
  return {
    stop: end === undefined ? [BLANK_LINE] : [],
    before(prompt, place) {
      const count = mostThatFit(
        examples.length,
        (n) => encodePrompt(tokenizer, textOf(n, prompt), unk, place).ids.length <= room,
      );
      if (count === 0)
        throw new UserError(
          'text-too-short',
          `no example of ${file} fits: it and the prompt${place} may take ${formatNumber(room)} of the ${formatNumber(context)} tokens of context`,
          { hint: 'use shorter examples, a shorter prompt or a model with a longer context' },
        );
      if (!told) notice(`${formatCountOf(count, 'example')} of ${printable(file)} before the prompt`);
      told = true;
      return { ...encode(tokenizer, textOf(count, prompt), unk, place), text: prompt };
    },
  };
}

/** The largest count that fits; 0 if not even 1 does. `fits` must be monotone. */
function mostThatFit(max: number, fits: (count: number) => boolean): number {
  let [fitting, over] = [0, max + 1];
  while (over - fitting > 1) {
    const middle = Math.floor((fitting + over) / 2);
    if (fits(middle)) fitting = middle;
    else over = middle;
  }
  return fitting;
}

/** Documents by the file's extension; of a text, those between blank lines, or else its lines. */
function documentsOf(file: string, decoding: DecodingOptions): string[] {
  const read = (documents: string): string[] => {
    const corpus = openCorpus([file], { encoding: decoding.encoding, documents });
    return [...corpus.documentTexts()].map(({ text }) => text);
  };
  const implied = impliedDocuments([file]);
  if (implied === CHAT)
    throw new UsageError(
      'bad-option-value',
      `--few-shot ${file}: the file has conversations, not examples of text`,
      {
        hint: 'use a file of texts, such as one with an example per line',
      },
    );
  const found = implied === 'whole' ? read('paragraphs') : read(implied);
  const documents = implied === 'whole' && found.length < 2 ? read('lines') : found;
  if (documents.length > 0) return documents;
  throw new UserError('empty-text', `${file} has no examples`, { hint: 'use a file with some content' });
}
