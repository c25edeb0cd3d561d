/** Reads the steps of a BPE tokenizer from tokenizer.json, and refuses by name what is not supported. */
import type { Pipeline } from '../bpe-tokenizer.ts';
import { shownJson } from '../../json.ts';
import { asObject, type JsonObject, type Refuse } from '../tokenizer-json.ts';
import { readDecoder } from './decoders.ts';
import { Field } from './fields.ts';
import { readNormalizer } from './normalizers.ts';
import { readPreTokenizer } from './pre-tokenizers.ts';
import { readTemplate } from './template.ts';

/**
 * @param ids tokens of model and added tokens
 */
export function readPipeline(json: JsonObject, ids: ReadonlyMap<string, unknown>, fail: Refuse): Pipeline {
  const field = (name: string): Field => new Field(name, fail);
  const normalization = readNormalizer(json['normalizer'], field('normalizer'));
  const preTokenization = readPreTokenizer(json['pre_tokenizer'], field('pre_tokenizer'));
  // `tokenizers` compares positions in the original text, which this normalizer shifts.
  if (preTokenization.prefix?.onlyFirst === true && normalization?.types.has('Strip') === true)
    field('pre_tokenizer').fail(
      'prepend_scheme',
      'is "first", which is not supported with the normalizer Strip',
    );
  return {
    normalization,
    preTokenization,
    template: readTemplate(json['post_processor'], field('post_processor'), ids.size),
    decoder: readDecoder(json['decoder'], field('decoder')),
    ...readModel(asObject(json['model']), field('model'), preTokenization.isByteLevel),
  };
}

function readModel(
  model: JsonObject,
  field: Field,
  isByteLevel: boolean,
): Pick<Pipeline, 'ignoresMerges' | 'unknown'> {
  for (const name of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'])
    if (model[name]) field.fail(name, `is ${shownJson(model[name])}, which is not supported`);
  const ignoresMerges = field.flag(model, 'ignore_merges', false);
  const hasByteFallback = field.flag(model, 'byte_fallback', false);
  const fusesUnknown = field.flag(model, 'fuse_unk', false);
  if (isByteLevel)
    return { ignoresMerges, unknown: { hasByteFallback: false, unkId: undefined, fusesUnknown: false } };
  const vocab = asObject(model['vocab']);
  const unkToken = model['unk_token'] ?? undefined;
  const unkId = typeof unkToken === 'string' ? vocab[unkToken] : undefined;
  if (unkToken !== undefined && !Number.isSafeInteger(unkId))
    field.fail('unk_token', `is ${shownJson(unkToken)}, which is not a token`);
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  if (unkId === undefined && !(hasByteFallback && bytes.every((byte) => Object.hasOwn(vocab, byte))))
    field.fail('unk_token', 'is missing, and not every byte has a token: some text would be dropped');
  return { ignoresMerges, unknown: { hasByteFallback, unkId: unkId as number | undefined, fusesUnknown } };
}
