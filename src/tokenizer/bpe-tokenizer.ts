/** A BPE tokenizer from its vocabulary, its merges and the steps around them. */
import { specialOf, type AddedIds } from './added-tokens.ts';
import { PieceEncoder, type Merge } from './bpe-merging.ts';
import { byteOfToken, bytesOfToken } from './byte-alphabet.ts';
import { byteSymbols } from './byte-symbols.ts';
import { PieceCache } from './piece-cache.ts';
import { pieceCutter, REMOVED, startOf, type PieceRule } from './pieces.ts';
import {
  characterSymbols,
  characterVocabulary,
  findUnknown,
  hasUnknown,
  unjoinedRule,
  type CharacterVocabulary,
  type UnknownOptions,
} from './pipeline/character-symbols.ts';
import { byteOfFallback, type TokenSteps } from './pipeline/decoders.ts';
import { cutsOfAll, lastCut, NEVER, type LineCuts } from './pipeline/line-cuts.ts';
import type { Normalization } from './pipeline/normalizers.ts';
import { GPT2_DIVISION, type Division, type PreTokenization } from './pipeline/pre-tokenizers.ts';
import { inTurn } from './pipeline/split-behavior.ts';
import { noTemplate, type Template } from './pipeline/template.ts';
import { cutAround, encoderAround, type OrdinaryEncoder } from './special-tokens.ts';
import { countPoints, textOf } from './text-units.ts';
import type { SpecialTokens, TokenDecoder, Tokenizer, Unknown } from './tokenizer.ts';

/** How text becomes pieces and tokens become text. */
export interface Pipeline {
  readonly normalization: Normalization | undefined;
  readonly preTokenization: PreTokenization;
  readonly template: Template;
  /** Undefined: tokens are bytes, written in GPT-2's byte alphabet. */
  readonly decoder: TokenSteps | undefined;
  /** A piece that is a token becomes it, even if no merges make it. */
  readonly ignoresMerges: boolean;
  /** For character-level tokens: how characters without a token are encoded. */
  readonly unknown: UnknownOptions;
}

/** The steps of GPT-2. */
export const gpt2Pipeline = (addPrefixSpace: boolean, firstId: number | undefined): Pipeline => ({
  normalization: undefined,
  preTokenization: {
    rules: [GPT2_DIVISION],
    isByteLevel: true,
    prefix: addPrefixSpace ? { text: ' ', onlyFirst: false } : undefined,
    spaceMark: undefined,
  },
  template: firstId === undefined ? noTemplate : { before: [firstId], after: [] },
  decoder: undefined,
  ignoresMerges: false,
  unknown: { hasByteFallback: false, unkId: undefined, fusesUnknown: false },
});

export interface BpeModel {
  /** By id, written in the byte alphabet where the pipeline says so, except added tokens. */
  readonly tokens: readonly string[];
  /** In the order in which they are applied. */
  readonly merges: readonly Merge[];
  /** Ids from which merging may start: not those of tokens that are only added. */
  readonly modelIds: ReadonlySet<number>;
  readonly added: AddedIds;
  readonly special: SpecialTokens;
  readonly pipeline: Pipeline;
  readonly toJSON: () => unknown;
  readonly modelJson: () => unknown;
  /** The text of tokenizer.json, if it is to be kept. */
  readonly source: string | undefined;
}

export function createBpeTokenizer(model: BpeModel): Tokenizer {
  const { tokens, added, special, pipeline, toJSON, modelJson, source } = model;
  const { normalization, preTokenization, template, decoder } = pipeline;
  const { prefix } = preTokenization;
  const decoding =
    decoder === undefined ? byteDecoding(shownTokens(model)) : stepDecoding(shownTokens(model), decoder);
  const pieces = piecesOf(model);
  const { unkId } = pieces;
  const literalPieces = withoutSpecial(model, pieces);
  const cuts = lineCuts(model.pipeline, pieces);
  return {
    kind: 'bpe',
    vocabSize: tokens.length,
    unkId,
    special,
    ...specialOf(tokens, added),
    encoder: (onUnknown, part) =>
      encoderAround(
        (found, isLiteral) =>
          pieceEncoder(isLiteral ? literalPieces() : pieces, preTokenization.spaceMark, found),
        { added, tokens, template, normalizer: normalization?.start, prefix, unkId, onUnknown, part },
      ),
    cut: cutAround(tokens, added, (text) => lastCut(text, cuts)),
    ...decoding,
    toJSON,
    modelJson,
    source,
  };
}

function lineCuts({ normalization, preTokenization }: Pipeline, { divisions }: PieceEncoding): LineCuts {
  if (normalization?.isDivisible === false) return NEVER;
  const cuts = cutsOfAll(divisions.map((each) => each.cuts));
  // Text after an added token gets a prefix; a part that starts there would lack it, since the token is in the part before.
  const hasPrefix =
    preTokenization.prefix?.onlyFirst === false || normalization?.types.has('Prepend') === true;
  return hasPrefix ? { ...cuts, before: 'never' } : cuts;
}

/** Tokens as the decoder sees them: added tokens that are matched in normalized text appear normalized. */
function shownTokens({ tokens, added, pipeline }: BpeModel): string[] {
  const normalize = pipeline.normalization?.start;
  return tokens.map((token, id) =>
    normalize !== undefined && added.get(id)?.normalized === true ? normalize(false)(token, true) : token,
  );
}

/** Encodes pieces of text. */
interface PieceEncoding {
  readonly cache: PieceCache;
  readonly divisions: readonly Division[];
  readonly unkId: number | undefined;
  /** Locates unknown text. */
  readonly characters: CharacterVocabulary | undefined;
}

/**
 * The same encoding, never yielding special tokens: merges can form some, such as `</s>` in a SentencePiece vocabulary that
 * has `</` and `s>`. Built on the first call.
 */
function withoutSpecial(model: BpeModel, pieces: PieceEncoding): () => PieceEncoding {
  const { merges, modelIds, added, tokens, pipeline } = model;
  const isSpecial = (id: number): boolean => added.get(id)?.special === true;
  // A byte must have a token, even if that is special.
  const isByte = (id: number): boolean =>
    pipeline.preTokenization.isByteLevel && byteOfToken(tokens[id]) !== undefined;
  let built: PieceEncoding | undefined;
  return () =>
    (built ??= [...modelIds].some(isSpecial)
      ? piecesOf({
          ...model,
          merges: merges.filter(({ joined }) => !isSpecial(joined)),
          modelIds: new Set([...modelIds].filter((id) => !isSpecial(id) || isByte(id))),
        })
      : pieces);
}

const piecesOf = (model: BpeModel): PieceEncoding =>
  model.pipeline.preTokenization.isByteLevel ? byteLevelPieces(model) : characterPieces(model);

function byteLevelPieces({ tokens, merges, modelIds, pipeline }: BpeModel): PieceEncoding {
  const byteIds = new Int32Array(256);
  const words = pipeline.ignoresMerges ? new Map<string, number>() : undefined;
  for (const id of modelIds) {
    const byte = byteOfToken(tokens[id]);
    if (byte !== undefined) byteIds[byte] = id;
    const bytes = words && bytesOfToken(tokens[id]);
    if (bytes !== undefined) words!.set(Buffer.from(bytes).toString(), id);
  }
  return {
    cache: new PieceCache(new PieceEncoder(byteSymbols(byteIds), merges), words),
    divisions: pipeline.preTokenization.rules,
    unkId: undefined,
    characters: undefined,
  };
}

function characterPieces({ tokens, merges, modelIds, pipeline }: BpeModel): PieceEncoding {
  const own = Array.from(modelIds, (id): [string, number] => [tokens[id], id]);
  const characters = characterVocabulary(own, pipeline.unknown);
  const words = pipeline.ignoresMerges ? new Map(own) : undefined;
  const rule = words === undefined ? unjoinedRule(characters, tokens, merges) : undefined;
  return {
    cache: new PieceCache(new PieceEncoder(characterSymbols(characters), merges), words),
    divisions: [...pipeline.preTokenization.rules, ...(rule === undefined ? [] : [rule])],
    unkId: hasUnknown(characters) ? characters.unkId : undefined,
    characters,
  };
}

/** Without a pre-tokenizer, a text is one piece. */
const WHOLE: PieceRule = (_units, from, end, final, starts, at) => {
  starts[at] = from;
  if (!final || end === from) return at;
  starts[at + 1] = end;
  return at + 1;
};

/** Encodes the text between added tokens. */
function pieceEncoder(
  { cache, divisions, unkId, characters }: PieceEncoding,
  spaceMark: string | undefined,
  onUnknown: ((unknown: Unknown) => void) | undefined,
): OrdinaryEncoder {
  const cut = pieceCutter(divisions.length === 0 ? WHOLE : inTurn(divisions.map(({ start }) => start())));
  let ids = new Uint32Array(0);
  let position = 0;
  return {
    get position() {
      return position;
    },
    encode(text, final) {
      const { units, starts, count } = cut(
        spaceMark === undefined ? text : text.replaceAll(' ', spaceMark),
        final,
      );
      const most = 3 * startOf(starts[count]); // a UTF-16 unit has at most three bytes, and a byte is at least one token
      if (most > ids.length) ids = new Uint32Array(2 * most);
      let length = 0;
      for (let i = 0; i < count; i++) {
        const [start, end] = [starts[i], startOf(starts[i + 1])];
        if (start < REMOVED) length = cache.encode(units, start, end, ids, length);
        if (unkId === undefined || onUnknown === undefined) continue;
        const from = startOf(start);
        if (start < REMOVED)
          findUnknown(characters!, units, from, end, (first, last) =>
            onUnknown({
              text: textOf(units, first, last),
              position: position + countPoints(units, from, first),
            }),
          );
        position += countPoints(units, from, end);
      }
      return ids.slice(0, length);
    },
  };
}

type Decoding = Pick<Tokenizer, 'vocabulary' | 'decode' | 'decoder' | 'byteLength'>;

/** Decodes byte-level tokens. Tokens that are not written in the byte alphabet are text. */
function byteDecoding(tokens: readonly string[]): Decoding {
  const bytes = tokens.map((token) => bytesOfToken(token) ?? Buffer.from(token));
  const none = new Uint8Array(0);
  /** A character whose bytes belong to several tokens appears with the last of them. */
  const decoder = (): TokenDecoder => {
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true }); // keep a U+FEFF, which belongs to the text
    return {
      push: (ids) => utf8.decode(Buffer.concat(Array.from(ids, (id) => bytes[id] ?? none)), { stream: true }),
      end: () => utf8.decode(),
    };
  };
  return {
    vocabulary: bytes.map((each) => Buffer.from(each).toString()),
    decoder,
    decode: decodeWith(decoder),
    byteLength: (id) => bytes[id]?.length ?? 0,
  };
}

/** Decodes tokens of text by the decoder's steps. */
function stepDecoding(tokens: readonly string[], steps: TokenSteps): Decoding {
  const decoder = (isContinued = false): TokenDecoder => {
    const chain = steps(isContinued);
    let text = '';
    const pass = (token: string, to: number): void => {
      if (to === chain.length) text += token;
      else for (const changed of chain[to].push(token)) pass(changed, to + 1);
    };
    const taken = (): string => {
      const done = text;
      text = '';
      return done;
    };
    return {
      push(ids) {
        for (const id of ids) if (id < tokens.length) pass(tokens[id], 0);
        return taken();
      },
      end() {
        chain.forEach((step, i) => step.end().forEach((token) => pass(token, i + 1)));
        return taken();
      },
    };
  };
  const inText = decoder(true);
  const vocabulary = tokens.map((_, id) => inText.push([id]) + inText.end());
  return {
    vocabulary,
    decoder,
    decode: decodeWith(decoder),
    byteLength(id) {
      const isByte = byteOfFallback(tokens[id] ?? '') !== undefined && vocabulary[id] !== tokens[id];
      return isByte ? 1 : Buffer.byteLength(vocabulary[id] ?? '');
    },
  };
}

const decodeWith =
  (start: () => TokenDecoder) =>
  (ids: Iterable<number>): string => {
    const decoder = start();
    return decoder.push(ids) + decoder.end();
  };
