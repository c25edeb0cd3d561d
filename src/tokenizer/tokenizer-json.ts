/**
 * Reading tokenizer.json, the format of Hugging Face's `tokenizers`: the parts shared by all kinds of tokenizers. Each kind
 * validates the fields it depends on.
 */
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';

export type JsonObject = Record<string, unknown>;

/** Throws an error about a file; `what` follows the file's name in the message. */
export type Refuse = (what: string) => never;

/** @throws UserError that starts with the file's name */
export const refuse =
  (file: string): Refuse =>
  (what) => {
    throw new UserError('unsupported-format', `${file}: ${what}`, {
      hint: 'char, word and BPE tokenizers like those of GPT-2, Llama and Qwen are read: see docs/bring-a-model.md',
    });
  };

/** The value as an object, or an empty one if it is something else. */
export const asObject = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {};

/** The field that lists the members of a Sequence. */
const MEMBERS = { normalizer: 'normalizers', pre_tokenizer: 'pretokenizers', decoder: 'decoders' } as const;

/** A step of tokenization, or undefined if there is none. A Sequence of one step counts as that step. */
export function onlyStep(json: JsonObject, field: keyof typeof MEMBERS): unknown {
  let step = json[field];
  for (;;) {
    const { type, [MEMBERS[field]]: members } = asObject(step);
    if (type !== 'Sequence' || !Array.isArray(members) || members.length > 1) return step ?? undefined;
    step = members[0];
  }
}

/**
 * Tokens sorted by id; ids must be 0, 1, 2, …
 *
 * @param entries pairs of token and id
 * @param field name of the vocabulary, for messages
 */
export function tokensInOrder(
  entries: readonly (readonly [string, unknown])[],
  field: string,
  fail: Refuse,
): string[] {
  const tokens = Array.from<string | undefined>({ length: entries.length });
  for (const [token, id] of entries) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= entries.length)
      return fail(
        `"${field}" gives ${shownJson(token)} the id ${shownJson(id)}, not one of 0 … ${entries.length - 1}`,
      );
    if (tokens[id] !== undefined) return fail(`"${field}" gives the id ${id} twice`);
    tokens[id] = token;
  }
  return tokens as string[];
}
