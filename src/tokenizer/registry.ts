import { parseJsonObject, shownJson } from '../json.ts';
import { bpeFromJson, bpeVocabulary, isBpeJson } from './bpe.ts';
import { charFromJson, charVocabulary, isCharJson } from './char.ts';
import { asObject, refuse, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { noSettings, type TokenizerSettings } from './tokenizer-settings.ts';
import type { Tokenizer, TokenizerKind, VocabularyBuilder, VocabularyOptions } from './tokenizer.ts';
import { isWordJson, wordFromJson, wordVocabulary } from './word.ts';

interface TokenizerEntry {
  /** What a token is. */
  readonly token: string;
  /** Starts building a tokenizer from text. */
  readonly vocabulary: (options: VocabularyOptions) => VocabularyBuilder;
  /** Detects the kind of a tokenizer.json. */
  readonly isJson: (json: JsonObject) => boolean;
  /** Reads and validates it. @param text of the file */
  readonly fromJson: (json: JsonObject, fail: Refuse, settings: TokenizerSettings, text: string) => Tokenizer;
}

export const tokenizers: { readonly [K in TokenizerKind]: TokenizerEntry } = {
  char: { token: 'character', vocabulary: charVocabulary, isJson: isCharJson, fromJson: charFromJson },
  word: { token: 'word', vocabulary: wordVocabulary, isJson: isWordJson, fromJson: wordFromJson },
  bpe: { token: 'byte-level token', vocabulary: bpeVocabulary, isJson: isBpeJson, fromJson: bpeFromJson },
};
/** The only version that Hugging Face's `tokenizers` reads. */
const VERSION = '1.0';

export const tokenizerKinds = Object.keys(tokenizers) as TokenizerKind[];

/**
 * @param settings from the other files of the folder
 * @throws UserError naming file and field, if the kind is unknown or the file is damaged
 */
export function tokenizerFromJson(
  text: string,
  file = 'tokenizer.json',
  settings: TokenizerSettings = noSettings,
): Tokenizer {
  const fail = refuse(file);
  const json = parseJsonObject(text, fail);
  const { version = VERSION } = json;
  if (version !== VERSION) fail(`"version" is ${shownJson(version)}, not ${shownJson(VERSION)}`);
  const kind = tokenizerKinds.find((each) => tokenizers[each].isJson(json));
  if (kind !== undefined) return tokenizers[kind].fromJson(json, fail, settings, text);
  const type = asObject(json['model'])['type'];
  return type === 'WordLevel'
    ? fail('"pre_tokenizer.pattern" is neither that of characters nor that of words')
    : fail(`"model.type" is ${shownJson(type)}, not "WordLevel" or "BPE"`);
}
