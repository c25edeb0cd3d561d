/** `gpt inspect`: parameters and activations of a model. */
import type { Command } from 'commander';
import { type ModelFolder } from '../checkpoint/model-folder.ts';
import { openModelFolder } from '../checkpoint/open-model.ts';
import { stdinChunks } from '../data/file-chunks.ts';
import { decodeText, startDecoding } from '../data/decode-text.ts';
import { UsageError, UserError } from '../errors.ts';
import { encodePrompt, type Unk } from '../generate/prompt.ts';
import type { TensorTarget } from '../model/tensor.ts';
import { readActivations, type Activations } from '../inspect/activations.ts';
import { readWeights, tokenEmbedding } from '../inspect/weights.ts';
import { printAttention } from './inspect/attention.ts';
import { printExpectations } from './inspect/expectations.ts';
import { whileReporting } from './activity.ts';
import { addExamples } from './help.ts';
import {
  argumentOrModel,
  baseOption,
  chosenModel,
  modelFolder,
  modelOption,
  openModel,
  blasOption,
  deviceOption,
  threadsOption,
  unkOption,
  type ModelFlags,
} from './model-options.ts';
import { printOverview } from './inspect/overview.ts';
import { printNeighbors } from './inspect/neighbors.ts';
import { argument, option } from './options.ts';
import { nonEmptyText, wholeNumber } from '../values.ts';
import { notice } from './terminal.ts';
import { noticeIfTyped } from './typed-input.ts';

interface Flags extends ModelFlags {
  readonly neighbors?: string;
  readonly attention?: string;
  readonly logits?: string;
  readonly layer?: number;
  readonly head?: number;
  readonly top: number;
  readonly unk: Unk;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(
      argument('[model]', 'a model folder or run; default: the newest under checkpoints/', modelFolder),
    )
    .addOption(modelOption('the same as the argument'))
    .addOption(baseOption())
    .addOption(option('--neighbors <token>', 'tokens with the most similar embeddings', nonEmptyText))
    .addOption(option('--attention <text>', 'attention maps for a text; -: stdin', nonEmptyText))
    .addOption(option('--logits <text>', 'next-token predictions for a text, layer by layer', nonEmptyText))
    .addOption(option('--layer <n>', 'for --attention, from 0; default: the mean', wholeNumber()))
    .addOption(option('--head <n>', 'for --attention, from 0; default: the mean', wholeNumber()))
    .addOption(
      option('--top <n>', 'number of neighbors or predicted tokens', wholeNumber({ min: 1, max: 100 }), 5),
    )
    .addOption(unkOption())
    .addOption(threadsOption())
    .addOption(deviceOption())
    .addOption(blasOption())
    .option('--json', 'print the results as JSON')
    .action(inspect);
  addExamples(command, [
    ['Shape, parameters, history, tokenizer, weights', 'gpt inspect checkpoints/moby-dick-1'],
    ['Similar tokens', 'gpt inspect --neighbors whale'],
    ['What each head of a layer attends to', 'gpt inspect --attention "Call me Ishmael" --layer 1'],
    ['How a prediction forms', 'gpt inspect --logits "Call me Ish"'],
    ['For a script', "gpt inspect --logits 'Call me' --json | jq '.positions[-1].layers[-1].top[0]'"],
  ]);
}

async function inspect(argumentModel: string | undefined, flags: Flags, command: Command): Promise<void> {
  const asked = (['neighbors', 'attention', 'logits'] as const).filter((name) => flags[name] !== undefined);
  if (asked.length > 1)
    throw new UsageError('conflicting-options', `--${asked[0]} and --${asked[1]} cannot be combined`, {
      hint: 'ask for one at a time',
    });
  if (asked[0] !== 'attention' && (flags.layer !== undefined || flags.head !== undefined))
    throw new UsageError('conflicting-options', '--layer and --head apply only to --attention', {
      hint: 'add --attention "some text"',
    });
  const model = chosenModel(argumentOrModel(argumentModel, flags, command));
  const { base, layer, head, top, neighbors, attention, logits } = flags;
  const json = flags.json === true;
  if (neighbors !== undefined) {
    const folder = openModelFolder(model, { base });
    const embedding = tokenEmbedding(
      folder.config,
      whileReporting((report) => readWeights(folder, (done) => report('reading the weights', done))),
    );
    await printNeighbors(folder, embedding, neighbors, { top, json, unk: flags.unk });
  } else if (attention !== undefined) {
    await whileReading(model, attention, flags, (ids, folder, activations) =>
      printAttention(folder.tokenizer, ids, activations, { layer, head, json }),
    );
  } else if (logits !== undefined) {
    await whileReading(model, logits, flags, (ids, folder, activations) =>
      printExpectations(folder.tokenizer, ids, activations, { top, json }),
    );
  } else {
    await printOverview(openModelFolder(model, { base }), { json });
  }
}

/** Runs the model on a text, truncated to its context length, and passes on the activations. */
async function whileReading(
  model: string,
  given: string,
  { unk, base, threads }: Flags,
  look: (ids: Uint32Array, folder: ModelFolder, activations: Activations) => Promise<void>,
): Promise<void> {
  const { folder, backend } = await openModel({
    model,
    ...(base !== undefined && { base }),
    ...(threads !== undefined && { threads }),
  });
  try {
    const { config, tokenizer } = folder;
    const all = encodePrompt(tokenizer, given === '-' ? stdinText() : given.toWellFormed(), unk).ids;
    const ids = all.slice(0, config.blockSize);
    if (ids.length < all.length)
      notice(`The text has ${all.length} tokens; only the first ${ids.length} fit the context of the model.`);
    const load = (tensors: TensorTarget[]): void => folder.load(tensors);
    const activations = await readActivations(backend, config, load, ids, folder.storageOf);
    await look(ids, folder, activations);
  } finally {
    await backend.close();
  }
}

/** All of stdin, without the line break that `echo` appends. @throws UserError if it is empty */
function stdinText(): string {
  noticeIfTyped('the text');
  const text = [...decodeText(stdinChunks(), startDecoding('stdin'))].join('');
  const trimmed = text.replace(/\r?\n$/, '');
  if (trimmed === '')
    throw new UserError('empty-text', 'stdin has no text', {
      hint: 'pipe in a text, or give it instead of -',
    });
  return trimmed;
}
