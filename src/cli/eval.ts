/** `gpt eval`: measures how well models predict texts. */
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { openScorer } from '../evaluate/evaluate-text.ts';
import { measureScored } from '../evaluate/measures.ts';
import { readTokenizedText, type TokenizedText } from '../evaluate/tokenized-text.ts';
import { readSplit, splits, type OtherText, type SplitName } from '../evaluate/training-text.ts';
import { kebab } from '../flag-name.ts';
import { baselineReader, type BaselineReader } from './eval-baselines.ts';
import { fileReader } from './eval-corpora.ts';
import {
  documentsOfFiles,
  documentsOfText,
  printEachDocument,
  type DocumentReader,
} from './eval-documents.ts';
import { evaluateMemorization } from './eval-memorization.ts';
import { notes, showComparison, showMeasures, toJson, type Evaluation } from './eval-tables.ts';
import { tokenPrinter } from './eval-tokens.ts';
import { whileDoing, whileReporting } from './activity.ts';
import type { DecodingOptions } from '../data/decode-text.ts';
import { baseOf } from '../checkpoint/open-model.ts';
import { encodingErrorsOption, encodingOption } from './decoding-options.ts';
import {
  documentsOption,
  readingModel,
  skipBadLinesOption,
  type DocumentFlags,
  type ReadingModel,
} from './document-options.ts';
import { addExamples } from './help.ts';
import {
  baseOption,
  chosenModel,
  modelFolder,
  openModel,
  blasOption,
  deviceOption,
  threadsOption,
  weightsOption,
} from './model-options.ts';
import { argument, option, orVariable, repeatable } from './options.ts';
import { choice, filePath, number, seed, wholeNumber } from '../values.ts';
import { startPercentage } from './progress-bar.ts';
import { printJson } from './json-output.ts';
import { notice, print } from './terminal.ts';
import { noticeIfTextTyped, noticeIfTyped } from './typed-input.ts';

interface Flags extends DecodingOptions, DocumentFlags {
  readonly model?: readonly string[];
  readonly base?: string;
  readonly threads?: number;
  readonly split?: SplitName;
  readonly stride?: number;
  readonly tokens?: true;
  readonly perDocument?: true;
  readonly baselines?: true;
  readonly baselineText?: string;
  readonly memorization?: true;
  readonly numSamples?: number;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(argument('[file...]', 'texts, one per file or folder; default: stdin', filePath))
    .addOption(
      orVariable(
        repeatable(
          '-m, --model <folder>',
          'model folder or name of a run; repeatable; default: the newest under checkpoints/',
          modelFolder,
        ),
        'GPT_MODEL',
      ),
    )
    .addOption(
      option('--split <name>', "evaluate on a split of the model's own corpus: train or val", choice(splits)),
    )
    .addOption(
      option(
        '--stride <n>',
        'start a window every n tokens, so that each token has at least block size − n tokens of context; default: the block size, the fastest',
        wholeNumber({ min: 1 }),
      ),
    )
    .option('--tokens', 'print the loss of each token: colored text on a terminal, JSON lines in a pipe')
    .option('--per-document', 'print the loss of each document from its own start, as JSON lines')
    .option('--baselines', "add n-gram models and compressors fitted on the model's training split")
    .addOption(
      option(
        '--baseline-text <file>',
        "the text the model was trained on, for --split, --baselines and --memorization, if the run's corpus has moved or was a pipe",
        filePath,
      ),
    )
    .addOption(baseOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addOption(blasOption())
    .addOption(weightsOption())
    .addOption(documentsOption('by the file, or as in training'))
    .addOption(skipBadLinesOption())
    .addOption(encodingOption())
    .addOption(encodingErrorsOption())
    .option('--json', 'print one line of JSON per model and text')
    .action(evaluate);
  addMemorizationOptions(command);
  addExamples(command, [
    ['The newest model on a file', 'gpt eval chapter.txt'],
    ['On held-out text, next to baselines', 'gpt eval --split val --baselines'],
    ['More context for each token', 'gpt eval chapter.txt --stride 16'],
    ['Two models on two texts', 'gpt eval a.txt b.txt -m checkpoints/one -m checkpoints/two'],
    ['The loss of each token', 'gpt eval chapter.txt --tokens'],
    ['The loss of each line', 'gpt eval names.txt --documents lines --per-document'],
    ['How much of a sample is copied from the training text', 'gpt eval --memorization'],
    ['From a pipe, for a script', 'cat chapter.txt | gpt eval --json | jq .bits_per_byte'],
  ]);
}

function addMemorizationOptions(command: Command): void {
  command.optionsGroup('Memorization:');
  command
    .option('--memorization', 'sample from the model and find verbatim copies of its training text')
    .addOption(option('--num-samples <n>', 'number of samples; default: 20', wholeNumber({ min: 1 })))
    .addOption(option('--max-tokens <n>', 'tokens per sample; default: 500', wholeNumber({ min: 1 })))
    .addOption(option('--temperature <x>', 'default: 1', number({ min: 0 })))
    .addOption(option('--seed <n>', 'random seed; default: 1', seed));
}

async function evaluate(files: string[], flags: Flags): Promise<void> {
  checkUsage(files, flags);
  const models = flags.model ?? [chosenModel(undefined)];
  if (flags.memorization) {
    await evaluateMemorization(models, { ...WRITING, ...flags, baselineText: baselineText(flags) });
    return;
  }
  if (files.length === 0 && flags.split === undefined)
    noticeIfTyped('the text', '--split val takes it from the corpus of the model.');
  else noticeIfTextTyped([...files, flags.baselineText]);
  const { split } = flags;
  if (flags.perDocument) {
    const documents: DocumentReader =
      split === undefined
        ? documentsOfFiles(files, flags)
        : (model) => splitText(split, flags)(model).map(({ file, text }) => documentsOfText(file, text));
    await printEachDocument(models, documents, flags);
    return;
  }
  const texts = split === undefined ? namedTexts(files, flags) : splitText(split, flags);
  const baselines = flags.baselines ? baselineReader(baselineText(flags)) : undefined;
  const evaluations: Evaluation[] = [];
  for (const model of models)
    for await (const evaluation of evaluateModel(model, texts, baselines, flags)) {
      if (flags.json) await printJson(toJson(evaluation));
      else evaluations.push(evaluation);
    }
  if (evaluations.length === 0) return;
  const alone = evaluations.length === 1 && baselines === undefined;
  await print(`${alone ? showMeasures(evaluations[0]) : showComparison(evaluations)}\n`);
  if (!alone) for (const note of notes(evaluations)) notice(note);
}

const WRITING = { numSamples: 20, maxTokens: 500, temperature: 1, seed: 1 };

function checkUsage(files: readonly string[], flags: Flags): void {
  if (flags.split !== undefined && files.length > 0)
    throw new UsageError('conflicting-options', "--split takes the text from the model's own corpus", {
      hint: 'omit the files, or --split',
    });
  if (flags.encoding !== undefined && flags.baselineText === undefined)
    for (const name of ['split', 'memorization'] as const)
      if (flags[name] !== undefined)
        throw new UsageError('conflicting-options', `--encoding and --${name} cannot be combined`, {
          hint: 'a run records the encoding of its corpus',
        });
  if (flags.tokens && flags.baselines)
    throw new UsageError('conflicting-options', '--tokens and --baselines cannot be combined');
  for (const name of ['tokens', 'baselines'] as const)
    if (flags.perDocument && flags[name])
      throw new UsageError('conflicting-options', `--per-document and --${name} cannot be combined`);
  const measures = ['split', 'stride', 'tokens', 'perDocument', 'baselines'] as const;
  for (const name of measures)
    if (flags.memorization && flags[name] !== undefined)
      throw new UsageError('conflicting-options', `--memorization and --${kebab(name)} cannot be combined`);
  if (flags.memorization && files.length > 0)
    throw new UsageError(
      'conflicting-options',
      '--memorization examines samples from the model; it takes no files',
    );
  const writing = {
    numSamples: '--num-samples',
    maxTokens: '--max-tokens',
    temperature: '--temperature',
    seed: '--seed',
  } as const;
  for (const [name, flag] of Object.entries(writing))
    if (!flags.memorization && flags[name as keyof typeof writing] !== undefined)
      throw new UsageError('conflicting-options', `${flag} has no effect without --memorization`);
  if (
    flags.baselineText !== undefined &&
    !flags.baselines &&
    !flags.memorization &&
    flags.split === undefined
  )
    throw new UsageError(
      'conflicting-options',
      '--baseline-text has no effect without --baselines, --memorization or --split',
    );
}

/** A text as seen by one model. */
interface ModelText {
  readonly file: string;
  readonly text: TokenizedText;
  readonly characters: number;
  /** Undefined for a split of a model's corpus, which is decoded as during training. */
  readonly replaced?: number;
}
type TextReader = (model: ReadingModel) => ModelText[];

/** The texts given on the command line, the same for every model. */
function namedTexts(files: readonly string[], flags: Flags): TextReader {
  const read = fileReader(files, flags);
  return (model) =>
    read(model, (corpus) => readTokenizedText(corpus, model.tokenizer)).map(
      ({ file, corpus: { facts }, found }) => ({
        file,
        text: found,
        characters: facts.characters,
        replaced: facts.replaced,
      }),
    );
}

const baselineText = ({ baselineText: path, ...flags }: Flags): OtherText | undefined =>
  path === undefined ? undefined : { ...flags, path };

/** A split of each model's own corpus. */
const splitText =
  (name: SplitName, flags: Flags): TextReader =>
  (model) => [
    whileReporting((report) => readSplit(model.name, model.tokenizer, name, baselineText(flags), report)),
  ];

/** Evaluates one model on all texts. With --tokens it prints the loss of each token and yields nothing. */
async function* evaluateModel(
  model: string,
  readTexts: TextReader,
  baselines: BaselineReader | undefined,
  flags: Flags,
): AsyncGenerator<Evaluation> {
  const { folder, backend } = await openModel({ ...flags, model, base: baseOf(model, flags.base) });
  try {
    const reading = readingModel(model, folder.tokenizer);
    const texts = readTexts(reading);
    const trained = baselines?.(model, folder.tokenizer);
    // Fitted first; otherwise the progress bar would remain at 100 % meanwhile.
    const baselinesOf =
      trained === undefined
        ? []
        : await whileDoing('measuring the baselines', () =>
            texts.map(({ file, text, characters }) => trained(file, text, characters)),
          );
    const lengths = texts.map(({ text }) => text.ids.length);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    let before = 0;
    const documentMask = reading.record?.documentMask === true;
    const scorer = openScorer(folder, backend, Math.max(...lengths), { ...flags, documentMask });
    // On a terminal the tokens themselves show progress, and a bar would overwrite them.
    const share = flags.tokens === true && process.stdout.isTTY ? undefined : startPercentage('evaluated');
    for (const [i, { file, text, characters, replaced }] of texts.entries()) {
      const start = before;
      before += text.ids.length;
      const scores = scorer.scores(text, (done) => share?.update((start + done * text.ids.length) / total));
      if (flags.tokens) {
        const printer = tokenPrinter(text, { model, file }, flags.json === true);
        await print(printer.start());
        for await (const piece of scores) await print(printer.show(piece));
        await print(printer.end());
      } else {
        const measures = await measureScored(text, characters, scores);
        yield {
          ...measures,
          model,
          file,
          replaced,
          stride: scorer.stride,
          vocabSize: folder.config.vocabSize,
          baselines: baselinesOf[i],
        };
      }
    }
    share?.stop();
  } finally {
    await backend.close();
  }
}
