/** `gpt eval --memorization`: how much of a model's output is copied verbatim from its training text. */
import { COPY_CHARACTERS, NGRAMS, type Copies, type Unit } from '../evaluate/memorization/copies.ts';
import {
  measureMemorization,
  type Memorization,
  type WritingOptions,
} from '../evaluate/memorization/memorization.ts';
import { readTrainingText, type OtherText, type TrainingText } from '../evaluate/training-text.ts';
import { formatNumber, formatPercent } from '../format.ts';
import { formatColumns } from './columns.ts';
import { factTable } from './fact-table.ts';
import { startActivity, whileReporting, type Activity } from './activity.ts';
import { openModel } from './model-options.ts';
import { startPercentage } from './progress-bar.ts';
import { printJson } from './json-output.ts';
import { print, printable, stdoutColors } from './terminal.ts';

export interface MemorizationFlags extends WritingOptions {
  readonly threads?: number;
  readonly baselineText?: OtherText | undefined;
  readonly json?: true;
}

export async function evaluateMemorization(
  models: readonly string[],
  flags: MemorizationFlags,
): Promise<void> {
  for (const [i, model] of models.entries()) {
    const { folder, backend } = await openModel({ ...flags, model });
    try {
      const training = whileReporting((report) =>
        readTrainingText(model, folder.tokenizer, flags.baselineText, report),
      );
      const share = startPercentage('written');
      let comparison: Activity | undefined;
      const found = await measureMemorization(folder, backend, training, flags, {
        written: share.update,
        comparing() {
          share.stop();
          comparison = startActivity('looking for copies in the training text');
        },
      });
      comparison?.stop();
      if (flags.json) await printJson(toJson(model, training, found, flags));
      else await print(`${i > 0 ? '\n' : ''}${show(model, training, found, flags)}\n`);
    } finally {
      await backend.close();
    }
  }
}

const toJson = (model: string, training: TrainingText, found: Memorization, flags: WritingOptions) => ({
  model,
  training_text: training.name,
  training_tokens: training.train.ids.length,
  temperature: flags.temperature,
  seed: flags.seed,
  written: copiesToJson(found.written),
  validation: found.validation === undefined ? null : copiesToJson(found.validation),
});

const copiesToJson = (found: Copies) => ({
  texts: found.texts,
  tokens: found.tokens,
  characters: found.characters,
  novel_ngrams: Object.fromEntries(
    Object.entries(found.novel).map(([unit, shares]) => [unit, Object.fromEntries(shares)]),
  ),
  copied_share: found.copiedShare,
  longest: found.longest,
});

function show(
  model: string,
  training: TrainingText,
  { written, validation }: Memorization,
  flags: WritingOptions,
): string {
  const facts = factTable(
    [
      ['model', printable(model)],
      [
        'wrote',
        `${formatNumber(written.texts)} texts, ${formatNumber(written.tokens)} tokens, at temperature ${flags.temperature}, seed ${flags.seed}`,
      ],
      ['training text', `${printable(training.name)}, ${formatNumber(training.train.ids.length)} tokens`],
    ],
    process.stdout,
  );
  const columns = validation === undefined ? [written] : [written, validation];
  const row = (name: string, value: (copies: Copies) => string): string[] => [name, ...columns.map(value)];
  const percent = (share: number | undefined): string => (share === undefined ? '–' : formatPercent(share));
  const rows = [
    ...(Object.keys(NGRAMS) as Unit[]).flatMap((unit) =>
      NGRAMS[unit].map((n) => row(`new ${n}-grams of ${unit}`, ({ novel }) => percent(novel[unit].get(n)))),
    ),
    row(`in copies of at least ${COPY_CHARACTERS} characters`, ({ copiedShare }) => percent(copiedShare)),
    row('longest copy (characters)', ({ longest }) => formatNumber(longest[0]?.characters ?? 0)),
  ];
  const [head, ...lines] = formatColumns(
    ['compared with the training text', 'written', 'validation'].slice(0, 1 + columns.length),
    rows,
  ).split('\n');
  const copies = written.longest.map(
    ({ text, characters, position }) =>
      `  ${String(characters).padStart(5)}  ${printable(JSON.stringify(shorten(text)))}${stdoutColors.dim(`, token ${formatNumber(position)}`)}`,
  );
  return [
    facts,
    '',
    [stdoutColors.dim(head), ...lines].join('\n'),
    '',
    stdoutColors.dim('  The longest copies: characters, text, and position in the training text:'),
    ...copies,
  ].join('\n');
}

const shorten = (text: string): string => {
  const characters = Array.from(text);
  return characters.length <= 160 ? text : `${characters.slice(0, 160).join('')}…`;
};
