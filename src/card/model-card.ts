/**
 * A model card as the Hugging Face Hub reads it: metadata in YAML, then Markdown
 * (https://github.com/huggingface/hub-docs/blob/main/modelcard.md). "base_model" must be the id of a model on the Hub, so a
 * base known only by its folder is named in the text. A license is the user's decision: an absent field means none given.
 */
import { toConfigJson } from '../checkpoint/huggingface.ts';
import { formatBytes, formatCountOf, formatNumber } from '../format.ts';
import type { ModelConfig } from '../model/config.ts';
import { countParameters } from '../model/parameters.ts';
import { shellQuoted } from '../shell-quote.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { code, codeBlock, prose, table, yaml, type YamlValue } from './markup.ts';

export interface CardFacts {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Pick<Tokenizer, 'kind' | 'vocabSize' | 'special'>;
  /** Undefined if the folder has no record of it. */
  readonly training: TrainingFacts | undefined;
}

export interface TrainingFacts {
  /** Names of the texts, without the folders they are in. */
  readonly texts: readonly string[];
  readonly files: number;
  readonly bytes: number;
  readonly trainTokens: number;
  readonly base: BaseModel | undefined;
  readonly steps: number;
  readonly plannedSteps: number;
  readonly tokensSeen: number;
  /** Further rows of the table. */
  readonly recipe: readonly (readonly [string, string])[];
  readonly command: string;
  /** The command alone reproduces the weights. */
  readonly isWholeStory: boolean;
  /** Undefined without held-out text, or before the first evaluation. */
  readonly validation: ValidationFacts | undefined;
  /** A few words of the text. */
  readonly prompt: string | undefined;
}

export interface BaseModel {
  readonly name: string;
  /** Its id on the Hub, if known. */
  readonly hubId: string | undefined;
}

export interface ValidationFacts {
  /** In nats per token. */
  readonly loss: number;
  /** The text that was held out, in Markdown. */
  readonly heldOut: string;
  readonly tokens: number;
  /** In UTF-8, of all tokens but the first; undefined if it has tokens outside of the vocabulary. */
  readonly bytes: number | undefined;
  /** Measured on a sample of the held-out text. */
  readonly isEstimate: boolean;
  /** Step of the model in the folder, which is the best one. */
  readonly step: number;
  /** It is the moving average of the weights. */
  readonly isAverage: boolean;
}

const USE = '## How to use it';

/** The complete card. */
export function modelCard(facts: CardFacts): string {
  const { name, training } = facts;
  return [
    `---\n${yaml(metadata(facts))}---\n`,
    `# ${prose(name)}\n`,
    introduction(facts),
    `## Model\n\n${modelTable(facts)}`,
    ...(training === undefined ? [] : trainingSections(training)),
    `${USE}\n\n${use(training?.prompt ?? 'Once upon a time', isKnown(facts))}`,
    `## License\n\n${LICENSE}`,
  ].join('\n');
}

const LICENSE =
  'None is given. Before you publish the model, choose one that the text, and the base model if there is one, allow, and add it to the metadata above: `license: mit`, for example.\n';

/** True if `transformers` has a class for the model. */
const isKnown = ({ config, tokenizer }: CardFacts): boolean =>
  toConfigJson(config, tokenizer)['model_type'] !== 'gpt-trainer';

function metadata(facts: CardFacts): Record<string, YamlValue> {
  const { config, tokenizer, training } = facts;
  const { base, validation } = training ?? {};
  return {
    library_name: !isKnown(facts) ? 'gpt-trainer' : config.lora === undefined ? 'transformers' : 'peft',
    pipeline_tag: 'text-generation',
    tags: [
      String(toConfigJson(config, tokenizer)['model_type']),
      'gpt-trainer',
      ...(config.lora === undefined ? [] : ['lora']),
    ],
    ...(base?.hubId !== undefined && { base_model: base.hubId }),
    ...(validation !== undefined && { 'model-index': [index(facts, validation)] }),
  };
}

/** The results of the evaluation. "type: text" is the name of the Hub's loader for text files. */
function index({ name, training }: CardFacts, { loss, bytes, tokens }: ValidationFacts): YamlValue {
  const perByte = bitsPerByte({ loss, bytes, tokens });
  return {
    name,
    results: [
      {
        task: { type: 'text-generation' },
        dataset: { type: 'text', name: training!.texts.join(', '), split: 'validation' },
        metrics: [
          { type: 'loss', name: 'validation loss, nats per token', value: loss },
          { type: 'perplexity', name: 'perplexity per token', value: Math.exp(loss) },
          ...(perByte === undefined
            ? []
            : [{ type: 'bits_per_byte', name: 'bits per byte', value: perByte }]),
        ],
      },
    ],
  };
}

const bitsPerByte = ({
  loss,
  bytes,
  tokens,
}: Pick<ValidationFacts, 'loss' | 'bytes' | 'tokens'>): number | undefined =>
  bytes === undefined || bytes === 0 ? undefined : (loss * tokens) / Math.LN2 / bytes;

function introduction({ config, training }: CardFacts): string {
  const { lora, ...whole } = config;
  const model = `language model with ${formatNumber(countParameters(whole))} parameters that continues a text`;
  const size = lora === undefined ? `A ${model}` : `A LoRA adapter of rank ${lora.rank} for a ${model}`;
  if (training === undefined)
    return `${size}. The folder that it was exported from has no record of its training.\n`;
  const { base, texts } = training;
  const origin =
    base === undefined
      ? 'trained from random weights'
      : `fine-tuned from ${base.hubId === undefined ? code(base.name) : `[${prose(base.hubId)}](https://huggingface.co/${base.hubId})`}`;
  return `${size}, ${origin} on ${listed(texts)} with gpt-trainer.\n`;
}

/** Number of file names shown for a text of many files. */
const MAX_NAMES = 5;

const listed = (texts: readonly string[]): string => {
  const shown = texts.slice(0, MAX_NAMES).map(code).join(', ');
  return texts.length > MAX_NAMES ? `${shown} and ${texts.length - MAX_NAMES} more` : shown;
};

function modelTable({ config, tokenizer }: CardFacts): string {
  const { nLayer, nHead, nEmbd, blockSize, vocabSize } = config;
  const classes = toConfigJson(config, tokenizer)['architectures'] as readonly string[];
  return table([
    ['architecture', classes.map(code).join(', ')],
    [
      'size',
      `${formatCountOf(nLayer, 'layer')}, ${formatCountOf(nHead, 'head')}, ${formatCountOf(nEmbd, 'channel')}`,
    ],
    ['context length', `${formatNumber(blockSize)} tokens`],
    ['tokenizer', `${tokenizer.kind}, ${formatNumber(vocabSize)} tokens`],
  ]);
}

function trainingSections(training: TrainingFacts): string[] {
  const { texts, files, bytes, trainTokens, steps, plannedSteps, tokensSeen, recipe } = training;
  const rows = table([
    ['text', `${listed(texts)}: ${formatBytes(bytes)}${files > 1 ? ` in ${formatNumber(files)} files` : ''}`],
    ['tokens', `${formatNumber(trainTokens)} to train on`],
    ['steps', `${formatNumber(steps)}${steps < plannedSteps ? ` of ${formatNumber(plannedSteps)}` : ''}`],
    ['tokens seen', `${formatNumber(tokensSeen)}, ${formatNumber(tokensSeen / trainTokens, 2)} epochs`],
    ...recipe,
  ]);
  const { command, isWholeStory, validation } = training;
  const story = isWholeStory
    ? ''
    : '\nThe run was resumed with other options on the way, so this command alone gives a similar model, not the same one.\n';
  return [
    `## Training\n\n${rows}`,
    `${codeBlock('sh', command)}${story}`,
    ...(validation === undefined ? [] : [`## Evaluation\n\n${evaluation(validation)}`]),
  ];
}

function evaluation(validation: ValidationFacts): string {
  const { loss, heldOut, tokens, isEstimate, step, isAverage } = validation;
  const perByte = bitsPerByte(validation);
  const rows = table([
    ['validation loss', `${isEstimate ? 'about ' : ''}${loss.toFixed(4)} nats per token`],
    ['perplexity', `${formatNumber(Math.exp(loss), 2)} per token`],
    ...(perByte === undefined ? [] : [['bits per byte', perByte.toFixed(4)] as const]),
  ]);
  const measured = isEstimate ? 'a sample of' : 'all of';
  const model = `${isAverage ? 'the moving average of the weights' : 'the weights'} of step ${formatNumber(step)}, the best of the run`;
  return `${rows}\nThe mean over ${measured} ${heldOut}, ${formatNumber(tokens)} tokens that were not trained on, in windows of the context length, with ${model}, in float32.\n`;
}

/** @param isKnownThere to `transformers` */
function use(prompt: string, isKnownThere: boolean): string {
  const sample = `gpt sample --model path/to/this/folder --prompt ${shellQuoted(prompt)}`;
  const python = [
    'from transformers import pipeline',
    '',
    'write = pipeline("text-generation", "path/to/this/folder")',
    `print(write(${JSON.stringify(prompt)})[0]["generated_text"])`,
  ].join('\n');
  return [codeBlock('sh', sample), ...(isKnownThere ? [codeBlock('py', python)] : [])].join('\n');
}

/** The card for the same model in 16 bits: a note is added before the first section, and the user's edits stay. */
export const withPrecision = (card: string, dtype: string): string =>
  withNote(
    card,
    `The weights in this folder are rounded to ${dtype}. Losses below are those of the float32 weights.`,
  );

/** The card of an adapter, adapted to the merged model. */
export const withMergedAdapter = (card: string): string =>
  withNote(card, 'In this folder, the adapter is merged into the weights.')
    .replace(/^library_name: "peft"$/m, 'library_name: "transformers"')
    .replace(/^ *- "lora"\n/m, '');

const withNote = (card: string, note: string): string => card.replace(/^## /m, () => `${note}\n\n## `);

/** A card for a folder that Ollama reads. */
export function forOllama(card: string): string {
  const from = card.indexOf(USE);
  if (from < 0) return card;
  const next = card.indexOf('\n## ', from);
  const section = `${USE}\n\n${codeBlock('sh', 'ollama create my-model -f Modelfile\nollama run my-model')}`;
  return `${card.slice(0, from)}${section}${next < 0 ? '' : card.slice(next)}`.replace(
    /^library_name: .*$/m,
    'library_name: "gguf"',
  );
}
