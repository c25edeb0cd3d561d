/** What `gpt eval` measured, as people and as programs read it. */
import type { Measures } from '../evaluate/measures.ts';
import { formatColumns, formatNumber, formatPercent, formatTable } from './format.ts';
import { printable, stdoutColors } from './terminal.ts';

/** One model on one text. */
export interface Evaluation extends Measures {
  readonly model: string;
  readonly file: string;
  readonly stride: number;
  readonly vocabSize: number;
}

export const toJson = (found: Evaluation) => ({
  model: found.model,
  file: found.file,
  stride: found.stride,
  tokens: found.tokens,
  characters: found.characters,
  bytes: found.bytes,
  unknown_tokens: found.unknown,
  nats_per_token: found.natsPerToken,
  perplexity: found.perplexity,
  accuracy_at_1: found.accuracyAt1,
  accuracy_at_5: found.accuracyAt5,
  bits_per_character: found.bitsPerCharacter,
  bits_per_byte: found.bitsPerByte,
  spelling_bits_per_byte: found.spellingBitsPerByte,
  uniform_nats_per_token: Math.log(found.vocabSize),
});

/** One model on one text: a line for each measure. */
export function showMeasures(found: Evaluation): string {
  const nats = (value: number): string => `${value.toFixed(4)} nats per token`;
  return formatTable([
    ['text', `${formatNumber(found.tokens)} tokens, ${formatNumber(found.characters)} characters`],
    ['unknown tokens', showUnknown(found)],
    ['loss', stdoutColors.bold(nats(found.natsPerToken))],
    ['perplexity', found.perplexity.toFixed(3)],
    ['accuracy', showAccuracy(found)],
    ['bits per character', found.bitsPerCharacter.toFixed(4)],
    ['bits per byte', found.bitsPerByte.toFixed(4)],
    ['uniform guessing', `${nats(Math.log(found.vocabSize))}, ln V`],
  ]);
}

/** `<unk>` is cheap to predict and says little: the table says what its spelling is charged with. */
function showUnknown({ unknown, tokens, spellingBitsPerByte }: Evaluation): string {
  const share = `${formatNumber(unknown)} (${formatPercent(unknown / tokens, 2)})`;
  if (unknown === 0) return share;
  return `${share}, spelled out byte by byte for ${spellingBitsPerByte.toFixed(4)} of the bits per byte`;
}

const showAccuracy = ({ accuracyAt1, accuracyAt5 }: Measures): string =>
  accuracyAt1 === undefined || accuracyAt5 === undefined
    ? ''
    : `${formatPercent(accuracyAt1)} first guess, ${formatPercent(accuracyAt5)} among the first five`;

/** Models side by side, text by text; the best in bits per byte is bold. */
export function showComparison(evaluations: readonly Evaluation[]): string {
  const someUnknown = evaluations.some(({ unknown }) => unknown > 0);
  const files = [...new Set(evaluations.map(({ file }) => file))];
  const tables = files.map((file) => {
    const rows = evaluations.filter((found) => found.file === file);
    const best = Math.min(...rows.map(({ bitsPerByte }) => bitsPerByte));
    const head = [
      'tokens',
      ...(someUnknown ? ['unknown'] : []),
      'loss',
      'ppl',
      'acc@1',
      'acc@5',
      'bits/byte',
    ];
    const lines = formatColumns(
      [printable(file), ...head],
      rows.map((found) => cells(found, someUnknown)),
    );
    const [first, ...others] = lines.split('\n');
    return [
      stdoutColors.dim(first),
      ...others.map((line, i) =>
        rows.length > 1 && rows[i].bitsPerByte === best ? stdoutColors.bold(line) : line,
      ),
    ].join('\n');
  });
  return tables.join('\n\n');
}

const cells = (found: Evaluation, withUnknown: boolean): string[] => [
  printable(found.model),
  formatNumber(found.tokens),
  ...(withUnknown ? [formatNumber(found.unknown)] : []),
  found.natsPerToken.toFixed(4),
  found.perplexity < 1e5 ? formatNumber(found.perplexity, 2) : found.perplexity.toExponential(2),
  found.accuracyAt1 === undefined ? '–' : formatPercent(found.accuracyAt1),
  found.accuracyAt5 === undefined ? '–' : formatPercent(found.accuracyAt5),
  found.bitsPerByte.toFixed(4),
];

/** What a reader of the comparison has to know. */
export function notes(evaluations: readonly Evaluation[]): string[] {
  const found: string[] = [];
  if (new Set(evaluations.map(({ vocabSize }) => vocabSize)).size > 1)
    found.push(
      'Loss and perplexity are per token: models with different tokenizers compare by bits per byte.',
    );
  if (evaluations.some(({ unknown }) => unknown > 0))
    found.push(
      'Unknown tokens count as <unk> in loss and perplexity; bits per byte pay for their spelling, too.',
    );
  return found;
}
