/**
 * tokenizer.json, the file of Hugging Face's `tokenizers` library: what its parsers have in common. Each kind of tokenizer
 * has a parser of its own, which checks all that the kind depends on.
 */
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';

export type JsonObject = Record<string, unknown>;

/** Refuses a file: says what is wrong with it, as a sentence that starts with its name. */
export type Refuse = (what: string) => never;

/** @throws UserError, the file's name in front of `what` */
export const refuse =
  (file: string): Refuse =>
  (what) => {
    throw new UserError('unsupported-format', `${file}: ${what}`, {
      hint: 'char and word tokenizers of `gpt` and byte-level BPE, as GPT-2 has it, can be read',
    });
  };

/** A field that should be an object; one without fields if it is something else. */
export const asObject = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {};

/** The field of a Sequence that lists its members. */
const MEMBERS = { normalizer: 'normalizers', pre_tokenizer: 'pretokenizers', decoder: 'decoders' } as const;

/** A step of tokenization: undefined if there is none. A Sequence of one is its only member, and a Sequence of none nothing. */
export function onlyStep(json: JsonObject, field: keyof typeof MEMBERS): unknown {
  let step = json[field];
  for (;;) {
    const { type, [MEMBERS[field]]: members } = asObject(step);
    if (type !== 'Sequence' || !Array.isArray(members) || members.length > 1) return step ?? undefined;
    step = members[0];
  }
}

/**
 * The tokens of a vocabulary in the order of their ids, which must be 0, 1, 2, …
 *
 * @param entries tokens and ids
 * @param field what to call the vocabulary in a message
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
