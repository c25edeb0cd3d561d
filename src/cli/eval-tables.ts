/** Results of `gpt eval` as tables and as JSON. */
import type { TokenBaseline } from '../evaluate/baselines/baselines.ts';
import type { Measures } from '../evaluate/measures.ts';
import { replacementsToJson } from './decoding-options.ts';
import type { BaselineEvaluation } from './eval-baselines.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { formatColumns } from './columns.ts';
import { factTable } from './fact-table.ts';
import { printable, stdoutColors } from './terminal.ts';

/** One model on one text. */
export interface Evaluation extends Measures {
  readonly model: string;
  readonly file: string;
  readonly stride: number;
  readonly vocabSize: number;
  readonly baselines: BaselineEvaluation | undefined;
  /** Number of U+FFFD in place of invalid bytes. */
  readonly replaced?: number | undefined;
}

export const toJson = (found: Evaluation) => ({
  model: found.model,
  file: found.file,
  stride: found.stride,
  tokens: found.tokens,
  counted_tokens: found.counted,
  characters: found.characters,
  bytes: found.bytes,
  ...(found.replaced !== undefined &&
    replacementsToJson([{ replaced: found.replaced, characters: found.characters }])),
  unknown_tokens: found.unknown,
  ...costsToJson(found),
  accuracy_at_1: found.accuracyAt1,
  accuracy_at_5: found.accuracyAt5,
  spelling_bits_per_byte: found.spellingBitsPerByte,
  uniform_nats_per_token: Math.log(found.vocabSize),
  ...(found.baselines && { baselines: baselinesToJson(found.baselines) }),
});

const costsToJson = (found: Measures) => ({
  nats_per_token: found.natsPerToken,
  perplexity: found.perplexity,
  bits_per_character: found.bitsPerCharacter,
  bits_per_byte: found.bitsPerByte,
});

const baselinesToJson = ({ trainingText, tokens, compressors }: BaselineEvaluation) => ({
  training_text: trainingText,
  ...Object.fromEntries([...tokens].map(([name, measures]) => [name, costsToJson(measures)])),
  ...Object.fromEntries(
    [...compressors].map(([name, found]) => [
      name,
      found === undefined
        ? null
        : {
            bits_per_byte: found.afterTraining,
            bits_per_byte_alone: found.alone,
          },
    ]),
  ),
});

/** One model on one text: one line per measure. */
export function showMeasures(found: Evaluation): string {
  const nats = (value: number): string => `${value.toFixed(4)} nats per token`;
  return factTable(
    [
      ['text', `${formatNumber(found.tokens)} tokens, ${formatNumber(found.characters)} characters`],
      ...(found.counted < found.tokens - 1
        ? [['counted', `${formatNumber(found.counted)} tokens, which the assistant writes`] as const]
        : []),
      ['unknown tokens', showUnknown(found)],
      ['loss', stdoutColors.bold(nats(found.natsPerToken))],
      ['perplexity', found.perplexity.toFixed(3)],
      ['accuracy', showAccuracy(found)],
      ['bits per character', found.bitsPerCharacter.toFixed(4)],
      ['bits per byte', found.bitsPerByte.toFixed(4)],
      ['uniform guessing', `${nats(Math.log(found.vocabSize))}, ln V`],
    ],
    process.stdout,
  );
}

/** `<unk>` is easy to predict, so the table shows what its spelling adds. */
function showUnknown({ unknown, tokens, spellingBitsPerByte }: Evaluation): string {
  const share = `${formatNumber(unknown)} (${formatPercent(unknown / tokens, 2)})`;
  if (unknown === 0) return share;
  return `${share}, whose spelling adds ${spellingBitsPerByte.toFixed(4)} bits per byte`;
}

const showAccuracy = ({ accuracyAt1, accuracyAt5 }: Measures): string =>
  accuracyAt1 === undefined || accuracyAt5 === undefined
    ? ''
    : `${formatPercent(accuracyAt1)} first guess, ${formatPercent(accuracyAt5)} among the first five`;

/** A row of the comparison. */
interface ComparisonRow {
  readonly name: string;
  readonly measures: Partial<Measures>;
  /** In place of bits per byte. */
  readonly note?: string;
}

/** A table per text, with models and then baselines as rows; the best bits per byte are bold. */
export function showComparison(evaluations: readonly Evaluation[]): string {
  const files = [...new Set(evaluations.map(({ file }) => file))];
  const withUnknown = evaluations.some(({ unknown }) => unknown > 0);
  return files
    .map((file) =>
      showText(
        file,
        evaluations.filter((found) => found.file === file),
        withUnknown,
      ),
    )
    .join('\n\n');
}

function showText(file: string, evaluations: readonly Evaluation[], withUnknown: boolean): string {
  const models: ComparisonRow[] = evaluations.map((found) => ({
    name: printable(found.model),
    measures: found,
  }));
  const blocks = baselineBlocks(evaluations);
  const rows = [...models, ...blocks.flatMap((block) => block.rows)];
  const best = Math.min(...rows.map(({ measures }) => measures.bitsPerByte ?? Infinity));
  const head = ['tokens', ...(withUnknown ? ['unknown'] : []), 'loss', 'ppl', 'acc@1', 'acc@5', 'bits/byte'];
  const [first, ...lines] = formatColumns(
    [printable(file), ...head],
    rows.map((row) => cells(row, withUnknown)),
  ).split('\n');
  const styled = lines.map((line, i) =>
    rows.length > 1 && rows[i].measures.bitsPerByte === best ? stdoutColors.bold(line) : line,
  );
  const parts = [stdoutColors.dim(first), ...styled.splice(0, models.length)];
  for (const { title, rows: its } of blocks)
    parts.push(stdoutColors.dim(`  ${printable(title)}`), ...styled.splice(0, its.length));
  return parts.join('\n');
}

const baselineNames: Readonly<Record<TokenBaseline, string>> = {
  uniform: 'uniform',
  unigram: 'unigram',
  bigram: 'bigram',
  kneser_ney_5gram: 'Kneser–Ney 5-gram',
};

/** Baselines, grouped by training text and tokenizer. */
function baselineBlocks(evaluations: readonly Evaluation[]): { title: string; rows: ComparisonRow[] }[] {
  const different = new Map(
    evaluations.flatMap((found) =>
      found.baselines === undefined ? [] : [[found.baselines.key, found] as const],
    ),
  );
  return [...different.values()].map(({ baselines, model }) => ({
    title: `fitted on ${baselines!.trainingText}${different.size > 1 ? `, in the tokens of ${model}` : ''}`,
    rows: [
      ...[...baselines!.tokens].map(([name, measures]) => ({
        name: baselineNames[name],
        measures,
      })),
      ...[...baselines!.compressors].flatMap(([name, found]): ComparisonRow[] =>
        found === undefined
          ? [{ name, measures: {}, note: 'not installed' }]
          : [
              { name, measures: { bitsPerByte: found.afterTraining } },
              {
                name: `${name}, without the training text`,
                measures: { bitsPerByte: found.alone },
              },
            ],
      ),
    ],
  }));
}

function cells({ name, measures, note }: ComparisonRow, withUnknown: boolean): string[] {
  const show = (value: number | undefined, format: (value: number) => string, none = ''): string =>
    value === undefined ? none : format(value);
  return [
    name,
    show(measures.tokens, formatNumber),
    ...(withUnknown ? [show(measures.unknown, formatNumber)] : []),
    show(measures.natsPerToken, (x) => x.toFixed(4)),
    show(measures.perplexity, (x) => (x < 1e5 ? formatNumber(x, 2) : x.toExponential(2))),
    show(measures.accuracyAt1, formatPercent),
    show(measures.accuracyAt5, formatPercent),
    show(measures.bitsPerByte, (x) => x.toFixed(4), note),
  ];
}

/** Remarks needed to interpret the comparison. */
export function notes(evaluations: readonly Evaluation[]): string[] {
  const found: string[] = [];
  if (new Set(evaluations.map(({ vocabSize }) => vocabSize)).size > 1)
    found.push(
      'Loss and perplexity are per token: compare models with different tokenizers by bits per byte.',
    );
  if (evaluations.some(({ unknown }) => unknown > 0))
    found.push('Unknown tokens count as <unk> in loss and perplexity; bits per byte include their spelling.');
  return found;
}
