import type { ConfigReader } from '../config-reader.ts';
import type { ModelConfig } from '../config.ts';

type CommonFields = Omit<ModelConfig, 'arch' | 'lora'>;

/**
 * The fields of config.json that all architectures share.
 *
 * @param names of the fields in config.json
 * @param tiedByDefault "tie_word_embeddings" where it is absent
 * @throws UserError naming a field that is missing or invalid
 */
export const readCommonFields = (
  json: ConfigReader,
  names: Readonly<Record<keyof CommonFields, string>>,
  tiedByDefault: boolean,
): CommonFields => ({
  vocabSize: json.wholeNumber(names.vocabSize),
  blockSize: json.wholeNumber(names.blockSize),
  nLayer: json.wholeNumber(names.nLayer),
  nHead: json.wholeNumber(names.nHead),
  nEmbd: json.wholeNumber(names.nEmbd),
  dropout: json.belowOne(names.dropout, 0),
  tieWordEmbeddings: json.oneOf(names.tieWordEmbeddings, [tiedByDefault, !tiedByDefault]),
});
