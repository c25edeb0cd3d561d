/**
 * Converts tokenizers with byte fallback, such as Llama 2's, Mistral's and TinyLlama's, to llama.cpp's SentencePiece
 * tokenizer (`llm_tokenizer_spm` in src/llama-vocab.cpp there). It has no merges: of all adjacent symbols that form a token
 * together, it joins the pair whose token has the highest score, the leftmost on a tie. That yields the ids of BPE if every
 * way to build a token from two others is a merge and the merges of each token are adjacent in rank, which gives its score.
 */
import { shownJson } from '../json.ts';
import { asObject, type JsonObject } from '../tokenizer/tokenizer-json.ts';

/** Space added to a text before it is split into characters. */
export interface SpacePrefix {
  readonly addsPrefix: boolean;
  /** The prefix is added only to texts that start without a space, and not after special tokens. */
  readonly isConditional: boolean;
}

const SPACE = '▁';

/** @returns undefined if the steps are not those of SentencePiece */
export function spacePrefixOf(json: JsonObject): SpacePrefix | undefined {
  const { model, normalizer, pre_tokenizer: splitting } = json;
  if (asObject(model)['byte_fallback'] !== true) return undefined;
  const { type, replacement, prepend_scheme, split } = asObject(splitting);
  if (type === 'Metaspace' && replacement === SPACE && split === false && (normalizer ?? null) === null)
    return { addsPrefix: prepend_scheme !== 'never', isConditional: prepend_scheme !== 'never' };
  if ((splitting ?? null) !== null) return undefined;
  const steps = normalizersOf(normalizer);
  const prepends = steps[0]?.['type'] === 'Prepend' && steps[0]['prepend'] === SPACE;
  const [replaces, ...others] = prepends ? steps.slice(1) : steps;
  const isReplacement =
    replaces?.['type'] === 'Replace' &&
    asObject(replaces['pattern'])['String'] === ' ' &&
    replaces['content'] === SPACE;
  return isReplacement && others.length === 0 ? { addsPrefix: prepends, isConditional: false } : undefined;
}

function normalizersOf(step: unknown): JsonObject[] {
  const { type, normalizers } = asObject(step);
  return type === 'Sequence' && Array.isArray(normalizers)
    ? normalizers.flatMap(normalizersOf)
    : [asObject(step)];
}

/** Scores that join tokens in the order of the merges, or why there are none. */
export type Scores = { readonly scores: readonly number[] } | { readonly problem: string };

/**
 * @param vocabulary ids by the tokens of the model
 * @param merges pairs of tokens
 * @param size number of ids
 */
export function scoresOf(
  vocabulary: ReadonlyMap<string, number>,
  merges: readonly (readonly [string, string])[],
  size: number,
): Scores {
  const scores = Array.from<number>({ length: size }).fill(-merges.length - 1);
  const ways = new Map<string, number>();
  let last: string | undefined;
  for (const [rank, [left, right]] of merges.entries()) {
    const token = left + right;
    const before = ways.get(token) ?? 0;
    if (before > 0 && token !== last)
      return { problem: `builds ${shownJson(token)} early and late in its merges` };
    if (before === 0) scores[vocabulary.get(token)!] = -rank;
    ways.set(token, before + 1);
    last = token;
  }
  for (const [token] of vocabulary) {
    if (isByte(token)) continue;
    const possible = waysToBuild(token, vocabulary);
    if (possible !== (ways.get(token) ?? 0))
      return {
        problem: `has ${ways.get(token) ?? 0} of ${possible} possible merges for ${shownJson(token)}`,
      };
  }
  return { scores };
}

export const isByte = (token: string): boolean => /^<0x[0-9A-F]{2}>$/.test(token);

/** Number of ways in which a token can be split into two others. */
function waysToBuild(token: string, vocabulary: ReadonlyMap<string, number>): number {
  let count = 0;
  for (let at = 1; at < token.length; at++)
    if (vocabulary.has(token.slice(0, at)) && vocabulary.has(token.slice(at))) count++;
  return count;
}
