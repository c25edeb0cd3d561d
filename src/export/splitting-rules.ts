/**
 * Names of llama.cpp's pre-tokenization rules for byte-level BPE ("tokenizer.ggml.pre"; the rules are compiled in, see
 * `llm_tokenizer_bpe` in src/llama-vocab.cpp there), looked up by the equivalent steps of tokenizer.json.
 */
import { asObject, type JsonObject } from '../tokenizer/tokenizer-json.ts';

const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
const LLAMA3 = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const QWEN2 = LLAMA3.replace('{1,3}', '');
const DIGIT = String.raw`\p{N}`;

/** The rule of Qwen2 and Qwen3. */
export const QWEN2_RULE = 'qwen2';

type RuleName = 'gpt-2' | 'smollm' | typeof QWEN2_RULE | 'llama-bpe' | 'smaug-bpe';

/** In llama.cpp, the rule also determines `ignore_merges`: whether a piece that is a token skips merging. */
interface Rule {
  readonly name: RuleName;
  readonly patterns: readonly string[];
  readonly ignoresMerges: boolean;
}

const rules: readonly Rule[] = [
  { name: 'gpt-2', patterns: [GPT2], ignoresMerges: false },
  { name: 'smollm', patterns: [DIGIT, GPT2], ignoresMerges: false },
  { name: QWEN2_RULE, patterns: [QWEN2], ignoresMerges: false },
  { name: 'llama-bpe', patterns: [LLAMA3], ignoresMerges: true },
  { name: 'smaug-bpe', patterns: [LLAMA3], ignoresMerges: false },
];

/** @param json of a byte-level BPE tokenizer */
export function splittingRule(json: JsonObject): RuleName | 'no such pattern' | 'no such merging' {
  const patterns = patternsOf(json['pre_tokenizer']);
  const found = rules.filter(
    (rule) =>
      rule.patterns.length === patterns.length && rule.patterns.every((each, i) => each === patterns[i]),
  );
  if (found.length === 0 || !isByteLevel(json['pre_tokenizer'])) return 'no such pattern';
  const ignoresMerges = asObject(json['model'])['ignore_merges'] === true;
  return found.find((rule) => rule.ignoresMerges === ignoresMerges)?.name ?? 'no such merging';
}

/** True if the last step is byte-level, as llama.cpp assumes for these rules. */
function isByteLevel(step: unknown): boolean {
  const { type, pretokenizers } = asObject(step);
  return type === 'Sequence' && Array.isArray(pretokenizers)
    ? isByteLevel(pretokenizers.at(-1))
    : type === 'ByteLevel';
}

/** Patterns whose matches become pieces, applied in turn; undefined for any other step. */
function patternsOf(step: unknown): (string | undefined)[] {
  const { type, pretokenizers, use_regex, individual_digits, pattern, behavior, invert } = asObject(step);
  if (type === 'Sequence' && Array.isArray(pretokenizers)) return pretokenizers.flatMap(patternsOf);
  if (type === 'ByteLevel') return (use_regex ?? true) === true ? [GPT2] : [];
  if (type === 'Digits') return [individual_digits === true ? DIGIT : undefined];
  // The patterns match all of a text, except for \p{N}, so that removing the rest removes nothing.
  const isWhole = type === 'Split' && behavior === (invert === true ? 'Removed' : 'Isolated');
  const { Regex: regex } = asObject(pattern);
  const isDigit = regex === DIGIT && invert === true;
  return [isWhole && !isDigit && typeof regex === 'string' ? regex : undefined];
}
