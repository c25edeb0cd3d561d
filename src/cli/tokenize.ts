/** `gpt tokenize`: builds a tokenizer, shows how it splits text, and encodes or decodes in a pipe. */
import { createHash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { chatFormOf, chatmlForm } from '../chat/chat-form.ts';
import { makeFolder, writeFileAtomic } from '../write-file.ts';
import { tokenizerText, WEIGHTS } from '../checkpoint/model-folder.ts';
import { readTokenizer } from '../checkpoint/tokenizer-files.ts';
import {
  checkSkipping,
  countCharacters,
  endIdOf,
  IMPLIED,
  openCorpus,
  type Corpus,
  type CorpusOptions,
} from '../data/corpus.ts';
import { decodingOf, decodeText, startDecoding, type DecodingOptions } from '../data/decode-text.ts';
import { stdinChunks } from '../data/file-chunks.ts';
import { replacementsIn } from '../data/replacements.ts';
import { writeTokenFile } from '../data/token-file.ts';
import { CHAT } from '../data/documents/format.ts';
import { shuffledIds } from '../data/documents/order.ts';
import { newTokenizer, tokenIds, tokenizeCorpus } from '../data/tokenize.ts';
import { UsageError, UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { shellQuoted } from '../shell-quote.ts';
import type { Report } from '../reporting.ts';
import { tokenizerKinds, tokenizers } from '../tokenizer/registry.ts';
import { specialTokenList, specialTokensValue } from '../tokenizer/special-token-list.ts';
import {
  endOfTextToken,
  rareWordChoices,
  type RareWords,
  type Tokenizer,
  type TokenizerKind,
  type VocabularyBuilder,
} from '../tokenizer/tokenizer.ts';
import { dataRows } from '../train/options/data.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { factTable } from './fact-table.ts';
import { whileReporting } from './activity.ts';
import { unspacedNotice } from './unspaced-notice.ts';
import { AGAINST_SORTED, describeCorpus, documentsJson, SORTED } from './corpus-summary.ts';
import {
  encodingErrorsOption,
  encodingOption,
  replacementsToJson,
  warnOfReplacements,
} from './decoding-options.ts';
import { documentsOption, skipBadLinesOption, type DocumentFlags } from './document-options.ts';
import { addExamples } from './help.ts';
import { modelFolder } from './model-options.ts';
import { argument, option } from './options.ts';
import { choice, filePath, wholeNumber } from '../values.ts';
import { printJson } from './json-output.ts';
import { forStdout, notice, print, printable, warn } from './terminal.ts';
import { noticeIfTextTyped, noticeIfTyped } from './typed-input.ts';
import { flagOf } from '../flag-name.ts';
import { describeVocabulary } from './vocabulary-summary.ts';

interface Flags extends DecodingOptions, DocumentFlags {
  readonly tokenizer?: TokenizerKind;
  readonly minFrequency?: number;
  readonly rareWords?: RareWords;
  readonly vocabSize?: number;
  readonly specialTokens?: string;
  readonly outDir?: string;
  readonly encode?: true;
  readonly decode?: true;
  readonly model?: string;
  readonly json?: true;
}

const DEFAULT_KIND: TokenizerKind = 'char';

export function register(command: Command): void {
  command
    .addArgument(argument('[corpus...]', 'text files or folders; - for stdin', filePath))
    .addOption(
      option(
        '--tokenizer <kind>',
        `${tokenizerKinds.join(', ')} (default: ${DEFAULT_KIND})`,
        choice(tokenizerKinds),
      ),
    )
    .addOption(
      option(
        '--min-frequency <n>',
        `${dataRows.minFrequency.help} (default: ${dataRows.minFrequency.defaultHelp})`,
        wholeNumber({ min: 1 }),
      ),
    )
    .addOption(
      option('--rare-words <how>', `${dataRows.rareWords.help} (default: spell)`, choice(rareWordChoices)),
    )
    .addOption(
      option(
        '--vocab-size <n>',
        `${dataRows.vocabSize.help} (default: ${dataRows.vocabSize.defaultHelp})`,
        wholeNumber({ min: 2 }),
      ),
    )
    .addOption(option('--special-tokens <list>', dataRows.specialTokens.help, specialTokensValue))
    .addOption(option('-o, --out-dir <folder>', 'folder for tokenizer.json and tokens.bin', filePath))
    .addOption(documentsOption('by the files: jsonl, chat, csv; else whole'))
    .addOption(skipBadLinesOption())
    .addOption(encodingOption())
    .addOption(encodingErrorsOption())
    .option('--json', 'print the statistics as JSON');
  command.optionsGroup('As a filter, with an existing tokenizer:');
  command
    .option('--encode', 'text on stdin to ids on stdout')
    .option('--decode', 'ids on stdin to text on stdout')
    .addOption(option('-m, --model <path>', 'a model folder, a run or a tokenizer.json', modelFolder))
    .action(tokenize);
  addExamples(command, [
    ['The words of a text', 'gpt tokenize book.txt --tokenizer word'],
    ['Save a tokenizer and the ids', 'gpt tokenize book.txt --tokenizer bpe --vocab-size 4096 -o out/'],
    ['Text to ids and back', 'echo "Call me" | gpt tokenize --encode -m out | gpt tokenize --decode -m out'],
  ]);
}

async function tokenize(paths: string[], flags: Flags): Promise<void> {
  if (flags.encode && flags.decode)
    throw new UsageError('conflicting-options', '--encode and --decode cannot be combined');
  if (flags.encode || flags.decode) {
    if (paths.length > 0)
      throw new UsageError('conflicting-options', '--encode and --decode read stdin; they take no files');
    if (flags.encode) refuseBeside('--encode', flags, OF_STATISTICS);
    else refuseBeside('--decode', flags, [...OF_STATISTICS, 'encoding', 'encodingErrors']);
    const tokenizer = givenTokenizer(flags.model);
    noticeIfTyped(flags.encode ? 'the text' : 'the ids');
    await (flags.encode ? encodeStdin(tokenizer, flags) : decodeStdin(tokenizer));
    return;
  }
  if (paths.length === 0)
    throw new UsageError('missing-argument', 'no text was given', {
      hint: 'pass a file or folder, or - for stdin',
    });
  if (flags.outDir !== undefined) refuseModel(flags.outDir);
  noticeIfTextTyped(paths);
  const { corpus, tokenizer, counts } = whileReporting((report) => tokenizeAll(paths, flags, report));
  const total = counts.reduce((a, b) => a + b, 0);
  const { isSorted, replaced: _replaced, documentCount, badLines, ...facts } = corpus.facts;
  const statistics = {
    files: corpus.files.length,
    left_out: corpus.leftOut,
    ...facts,
    is_sorted: isSorted,
    ...documentsJson({ documents: corpus.documents, documentCount, badLines }),
    ...replacementsToJson([corpus.facts]),
    tokens: total,
    vocabulary: tokenizer.vocabSize,
    unknown_tokens: tokenizer.unkId === undefined ? 0 : counts[tokenizer.unkId],
    characters_per_token: corpus.facts.characters / total,
    bytes_per_token: corpus.facts.bytes / total,
  };
  if (flags.json) await printJson(statistics);
  else {
    const text = describeCorpus({ ...corpus, ...corpus.facts });
    await print(`${table(text, tokenizer, counts, statistics)}\n`);
  }
  warnOfReplacements([replacementsIn(corpus)], flags.encoding);
  const unspaced = unspacedNotice(tokenizer);
  if (unspaced !== undefined) warn(unspaced);
  if (corpus.facts.crlf) notice('The text has Windows line ends (\\r\\n), which are kept.');
  if (flags.outDir !== undefined && corpus.facts.isSorted) warn(`${SORTED} ${AGAINST_SORTED}`);
  if (flags.outDir !== undefined)
    notice(
      `Wrote ${printable(join(flags.outDir, 'tokenizer.json'))} and ${printable(join(flags.outDir, 'tokens.bin'))}`,
    );
}

/** Counts the tokens of the texts; with --out-dir, also writes their ids. */
function tokenizeAll(
  paths: readonly string[],
  flags: Flags,
  report: Report,
): { readonly corpus: Corpus; readonly tokenizer: Tokenizer; readonly counts: Float64Array } {
  const { model, outDir, documents, skipBadLines } = flags;
  const given = model === undefined ? undefined : givenTokenizer(model);
  const endOfText = given && endOfTextToken(given);
  if (given !== undefined) refuseBeside('--model, whose vocabulary is fixed', flags, OF_NEW_VOCABULARY);
  const own = specialTokenList(flags.specialTokens);
  const chat = () => (given === undefined ? chatmlForm(own) : chatFormOf(given, printable(model!)));
  const reading = { ...decodingOf(flags), documents, skipBadLines, endOfText, chat };
  const corpus = openText(paths, reading, report);
  checkSkipping(corpus, reading);
  const isChat = corpus.documents === CHAT;
  if (given !== undefined && endOfText === undefined && corpus.documents !== 'whole' && !isChat)
    throw new UsageError('unsuitable-tokenizer', `${printable(model!)} has no token that ends a document`, {
      hint: 'read the text as a whole: --documents whole',
    });
  if (isChat && outDir !== undefined)
    throw new UsageError(
      'conflicting-options',
      'a token file cannot mark which tokens of a conversation count in the loss',
      {
        hint: `train on the conversations themselves: gpt train ${paths.map((path) => shellQuoted(path)).join(' ')}`,
      },
    );
  const { tokenizer: kind = DEFAULT_KIND, minFrequency, rareWords = 'spell', vocabSize: maxSize } = flags;
  if (flags.rareWords !== undefined && kind !== 'word')
    warn(`--rare-words has no effect with the tokenizer ${kind}`);
  const builder = (specialTokens: readonly string[]): VocabularyBuilder =>
    tokenizers[kind].vocabulary({ minFrequency, rareWords, maxSize, specialTokens });
  const tokenizer = given ?? newTokenizer(corpus, builder, own);
  const counts = new Float64Array(tokenizer.vocabSize);
  const counted = function* (): Generator<Uint32Array> {
    for (const ids of idsOf(corpus, tokenizer)) {
      for (const id of ids) counts[id]++;
      yield ids;
    }
  };
  if (outDir === undefined) for (const _ of counted());
  else write(outDir, tokenizer, { ids: counted(), endId: documentEndOf(corpus, tokenizer) });
  return { corpus, tokenizer, counts };
}

/** Without `documents`, JSON lines and CSV are divided; several files are not, so that a text larger than memory streams. */
function openText(paths: readonly string[], options: CorpusOptions, report: Report): Corpus {
  const { documents = IMPLIED } = options;
  const corpus = openCorpus(paths, { ...options, documents }, report);
  return documents === IMPLIED && corpus.documents === 'files'
    ? openCorpus(paths, { ...options, documents: 'whole' }, report)
    : corpus;
}

/** The token that ends documents; undefined for a text that is not divided. */
function documentEndOf(corpus: Corpus, tokenizer: Tokenizer): number | undefined {
  const endId = endIdOf(corpus, tokenizer);
  return corpus.documents === 'whole' || endId < 0 ? undefined : endId;
}

/** The ids of a text in the order in which runs train on them: documents are shuffled, in memory. */
function* idsOf(corpus: Corpus, tokenizer: Tokenizer): Generator<Uint32Array> {
  const endId = documentEndOf(corpus, tokenizer);
  if (endId === undefined) yield* tokenIds(corpus, tokenizer);
  else yield Uint32Array.from(shuffledIds({ ids: tokenizeCorpus(corpus, tokenizer).ids, endId }).ids);
}

/** @throws UserError if the folder's tokenizer belongs to a model, whose weights another tokenizer would make useless */
function refuseModel(folder: string): void {
  const has = (file: string): boolean => existsSync(join(folder, file));
  const isModel = ['config.json', WEIGHTS, 'vocab.json'].some(has);
  if (!isModel && (!has('tokenizer.json') || has('tokens.bin'))) return;
  throw new UserError(
    'output-exists',
    `${folder} has ${isModel ? 'a model' : 'a tokenizer.json'}, whose tokenizer would be replaced`,
    {
      hint: 'choose another folder with -o',
    },
  );
}

/** Writes the ids first: if a text cannot be read, no tokenizer.json is left behind that would stop a second attempt. */
function write(
  folder: string,
  tokenizer: Tokenizer,
  { ids, endId }: { readonly ids: Iterable<Uint32Array>; readonly endId: number | undefined },
): void {
  const isNew = !existsSync(folder);
  makeFolder(folder);
  try {
    const json = tokenizerText(tokenizer);
    const tokenizerHash = createHash('sha256').update(json).digest();
    const { vocabSize } = tokenizer;
    writeTokenFile(join(folder, 'tokens.bin'), ids, { vocabSize, tokenizerHash, endId });
    writeFileAtomic(join(folder, 'tokenizer.json'), [json]);
  } catch (error) {
    if (isNew) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function table(
  text: string,
  tokenizer: Tokenizer,
  counts: Float64Array,
  {
    tokens,
    ...facts
  }: {
    tokens: number;
    unknown_tokens: number;
    characters_per_token: number;
    bytes_per_token: number;
  },
): string {
  const frequent = Array.from(counts, (count, id) => ({ count, id }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count || a.id - b.id)
    .slice(0, 12)
    .map(
      ({ count, id }) =>
        `${printable(JSON.stringify(tokenizer.vocabulary[id]))} ${formatPercent(count / tokens)}`,
    );
  const unknown: [string, string][] =
    tokenizer.unkId === undefined
      ? []
      : [
          [
            'unknown',
            `${formatNumber(facts.unknown_tokens)} (${formatPercent(facts.unknown_tokens / tokens, 2)})`,
          ],
        ];
  return factTable(
    [
      ['text', text],
      ['tokens', formatNumber(tokens)],
      ['vocabulary', describeVocabulary(tokenizer)],
      ...unknown,
      ['characters per token', facts.characters_per_token.toFixed(3)],
      ['bytes per token', facts.bytes_per_token.toFixed(3)],
      ['most frequent', frequent.slice(0, 6).join('  ')],
      ...(frequent.length > 6 ? [['', frequent.slice(6).join('  ')] as const] : []),
    ],
    process.stdout,
  );
}

const OF_NEW_VOCABULARY = [
  'tokenizer',
  'specialTokens',
  'vocabSize',
  'minFrequency',
  'rareWords',
] as const satisfies (keyof Flags)[];

/** What a filter with an existing tokenizer does not do. */
const OF_STATISTICS = [
  ...OF_NEW_VOCABULARY,
  'outDir',
  'documents',
  'skipBadLines',
  'json',
] as const satisfies (keyof Flags)[];

/** @throws UsageError for the first of these options that is given */
function refuseBeside(chosen: string, flags: Flags, names: readonly (keyof Flags)[]): void {
  const name = names.find((each) => flags[each] !== undefined);
  if (name === undefined) return;
  throw new UsageError('conflicting-options', `${flagOf(name)} has no effect with ${chosen}`, {
    hint: 'omit one of them',
  });
}

function givenTokenizer(path: string | undefined): Tokenizer {
  if (path === undefined)
    throw new UsageError('missing-argument', 'no tokenizer was given', {
      hint: 'pass a model folder or a tokenizer.json with --model',
    });
  return readTokenizer(path);
}

/** Ids separated by spaces, with a line break after each token that ends a line, for readers and line-based tools. */
async function encodeStdin(tokenizer: Tokenizer, flags: Flags): Promise<void> {
  let unknown = 0;
  const { unkId } = tokenizer;
  const encoder = tokenizer.encoder(({ text }) => {
    // A literal `<unk>` in the text is not reported.
    if (unkId === undefined || text !== tokenizer.vocabulary[unkId]) unknown++;
  });
  const show = async (ids: Uint32Array): Promise<void> => {
    let text = '';
    for (const id of ids) text += id + (tokenizer.vocabulary[id].endsWith('\n') ? '\n' : ' ');
    if (text !== '') await print(text);
  };
  const decoding = startDecoding('stdin', decodingOf(flags));
  let characters = 0;
  for (const piece of decodeText(stdinChunks(), decoding)) {
    characters += countCharacters(piece);
    await show(encoder.push(piece));
  }
  await show(encoder.end());
  warnOfReplacements([{ paths: ['-'], replaced: decoding.replaced, characters }], flags.encoding);
  if (unknown > 0)
    notice(
      unkId === undefined
        ? `${formatNumber(unknown)} unknown tokens were skipped, because there is no <unk>`
        : `${formatNumber(unknown)} unknown tokens became <unk>`,
    );
}

/** Ids may be separated by any white space. */
async function decodeStdin(tokenizer: Tokenizer): Promise<void> {
  const decoder = tokenizer.decoder();
  let held = ''; // an id that may continue in the next chunk
  const show = async (words: readonly string[]): Promise<void> => {
    const ids = words.filter((word) => word !== '').map((word) => parseId(word, tokenizer));
    const text = decoder.push(ids);
    if (text !== '') await print(forStdout(text));
  };
  for (const chunk of stdinChunks()) {
    const words = (held + Buffer.from(chunk).toString('latin1')).split(/\s+/);
    held = words.pop() ?? '';
    if (held.length > LONGEST_ID) parseId(held, tokenizer); // no id is that long
    await show(words);
  }
  await show([held]);
  await print(forStdout(decoder.end()));
}

const LONGEST_ID = 10; // digits: ids are below 2³²

function parseId(word: string, tokenizer: Tokenizer): number {
  const id = word.length <= LONGEST_ID && /^\d+$/.test(word) ? Number(word) : -1;
  if (id < 0 || id >= tokenizer.vocabSize)
    throw new UserError('not-in-vocabulary', `${shownJson(word)} is not a token id`, {
      hint: `ids are whole numbers from 0 to ${tokenizer.vocabSize - 1}`,
    });
  return id;
}
