/** `gpt inspect --neighbors`: tokens with similar embeddings. */
import type { ModelFolder } from '../../checkpoint/model-folder.ts';
import { encodePrompt, type Unk } from '../../generate/prompt.ts';
import { nearest } from '../../inspect/embeddings.ts';
import { encode, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { printJson } from '../json-output.ts';
import { print, stdoutColors } from '../terminal.ts';
import { fit, tokenLabel } from '../token-label.ts';

const LABEL = 20;
const BAR = 40;

export async function printNeighbors(
  { config, tokenizer }: ModelFolder,
  rows: Float32Array,
  text: string,
  { top, json, unk }: { readonly top: number; readonly json: boolean; readonly unk: Unk },
): Promise<void> {
  const found = tokensOf(tokenizer, text, unk).map((id) => ({
    id,
    text: tokenizer.vocabulary[id],
    neighbors: nearest({ rows, C: config.nEmbd }, id, top).map((neighbor) => ({
      ...neighbor,
      text: tokenizer.vocabulary[neighbor.id],
    })),
  }));
  if (json) {
    await printJson({ tokens: found });
    return;
  }
  const lists = found.map((token) => {
    const lines = token.neighbors.map(({ text: neighbor, cosine }) => {
      const bar = '█'.repeat(Math.max(0, Math.round(BAR * cosine)));
      return `  ${fit(tokenLabel(neighbor), LABEL)} ${cosine.toFixed(3).padStart(6)}  ${stdoutColors.cyan(bar)}`.trimEnd();
    });
    const title = `${stdoutColors.bold(tokenLabel(token.text))}${stdoutColors.dim(`, token ${token.id}: nearest by cosine`)}`;
    return [`  ${title}`, ...lines].join('\n');
  });
  await print(`${lists.join('\n\n')}\n`);
}

/** Encodes a fragment: without the special tokens that some tokenizers put at the start and end of a text. */
const WITHIN = { isFirst: false, isLast: false };

/**
 * The tokens that a text denotes: those equal to the text with and without a leading space or, if there are none, all tokens of
 * its encoding.
 *
 * @throws UserError for text outside the vocabulary, unless --unk says otherwise
 */
function tokensOf(tokenizer: Tokenizer, text: string, unk: Unk): number[] {
  const encoded = (piece: string): number[] =>
    Array.from(encode(tokenizer, piece.toWellFormed(), undefined, WITHIN));
  const isKnown = (id: number): boolean => id !== tokenizer.unkId;
  const whole = [text, ` ${text}`].map(encoded).filter((ids) => ids.length === 1 && isKnown(ids[0]));
  const ids = whole.length > 0 ? whole.flat() : encodePrompt(tokenizer, text.toWellFormed(), unk).ids;
  return [...new Set(ids)];
}
