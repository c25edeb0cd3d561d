/** `gpt sample`: continues a prompt. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import type { ModelFolder } from '../../checkpoint/model-folder.ts';
import { resolveRun } from '../../checkpoint/runs.ts';
import { UTF8 } from '../../data/encodings.ts';
import { UsageError } from '../../errors.ts';
import { formatCountOf, formatNumber } from '../../format.ts';
import { shownJson } from '../../json.ts';
import { decodedContext, Decoder, MAX_TEXTS, textsAtOnce } from '../../generate/decoder.ts';
import type { Unk } from '../../generate/prompt.ts';
import { bannedIds, withoutEnds } from '../../tokenizer/tokenizer.ts';
import { encodingOption } from '../decoding-options.ts';
import { addExamples } from '../help.ts';
import { onInterrupt } from '../interrupt.ts';
import { addModelOptions, openModel, unkOption, type ModelFlags } from '../model-options.ts';
import { kebab } from '../../flag-name.ts';
import { argument, option } from '../options.ts';
import { anyText, filePath, number, wholeNumber } from '../../values.ts';
import { searchTexts } from './beams.ts';
import { documentOutput, jsonOutput, plainOutput, probabilityOutput } from './output.ts';
import { encode, noticeOfLength, readPrompt, type Prompt } from './prompts.ts';
import { promptLines, severalTexts } from './requests.ts';
import { addSettings, settingsOf, type SamplingSettings } from '../sampling-settings.ts';
import { notice } from '../terminal.ts';
import { ALTERNATIVES, writeTexts } from './write.ts';

interface Flags extends ModelFlags, Omit<SamplingSettings, 'seed' | 'stop'> {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly prompts?: string;
  readonly fewShot?: string;
  readonly encoding?: string;
  readonly numSamples: number;
  readonly stop?: readonly string[];
  readonly seed?: number;
  readonly greedy?: true;
  readonly beams?: number;
  readonly lengthPenalty: number;
  readonly unk: Unk;
  readonly allowUnk?: true;
  readonly ignoreEos?: true;
  readonly documents?: true;
  readonly json?: true;
  readonly showProbs?: true;
  readonly alternatives?: number;
  readonly interactive?: true;
  readonly pick?: true;
}

export function register(command: Command): void {
  addModelOptions(command);
  command.addArgument(argument('[prompt]', 'text to continue, like --prompt', anyText));
  addPromptOptions(command);
  command.optionsGroup('Sampling parameters, in the order in which they apply:');
  addSettings(command);
  command
    .option('--greedy', 'always take the likeliest token')
    .option('--ignore-eos', 'continue past end tokens such as <|endoftext|>')
    .option('--allow-unk', 'allow <unk> to be sampled');
  addBeamOptions(command);
  addOutputOptions(command);
  addExamples(command, [
    ['Continue a line', 'gpt sample "Call me"'],
    ['The same text again', 'gpt sample "Call me" --seed 1'],
    ['Three conservative samples, from a pipe', 'echo "Whales are" | gpt sample --num-samples 3 --top-p 0.9'],
    ['A sentence with its probabilities', 'gpt sample -p "The sea" --stop . --show-probs'],
    ['Many prompts, for a script', 'gpt sample --prompts lines.txt -n 40 | jq -r .text'],
    ['Twenty names from a model of names', 'gpt sample --documents --num-samples 20'],
    ['Co-write with the model', 'gpt sample -i'],
  ]);
  command.action(sample);
}

function addPromptOptions(command: Command): void {
  command.optionsGroup('Prompt:');
  command
    .addOption(option('-p, --prompt <text>', 'text to continue; - for stdin', anyText))
    .addOption(option('--prompt-file <file>', 'read the prompt from a file', filePath).conflicts('prompt'))
    .addOption(
      option('--prompts <file>', 'file with one prompt per line, - for stdin; prints JSON lines', filePath)
        .conflicts('prompt')
        .conflicts('promptFile')
        .conflicts('showProbs')
        .conflicts('interactive')
        .conflicts('pick'),
    )
    .addOption(
      option(
        '--few-shot <file>',
        'put as many documents of this file as fit before the prompt, as examples',
        filePath,
      )
        .conflicts('interactive')
        .conflicts('pick'),
    )
    .addOption(encodingOption())
    .addOption(unkOption('prompt text'))
    .addOption(option('--num-samples <n>', 'samples per prompt', wholeNumber({ min: 1 }), 1));
}

function addBeamOptions(command: Command): void {
  command.optionsGroup('Beam search instead of sampling:');
  command
    .addOption(
      option('--beams <n>', 'number of beams', wholeNumber({ min: 1, max: MAX_TEXTS }))
        .conflicts('greedy')
        .conflicts('interactive')
        .conflicts('pick'),
    )
    .addOption(
      option(
        '--length-penalty <x>',
        'above 0 favors longer texts among beams that end at different lengths',
        number(),
        1,
      ),
    );
}

function addOutputOptions(command: Command): void {
  command.optionsGroup('Output:');
  command
    .addOption(
      command
        .createOption(
          '--documents',
          'list whole documents, and count those that are not in the training text',
        )
        .conflicts(['json', 'showProbs', 'interactive', 'pick', 'prompts', 'ignoreEos']),
    )
    .option('--json', 'print JSON lines with token ids and log-probabilities')
    .addOption(command.createOption('--show-probs', 'color each token by its probability').conflicts('json'))
    .addOption(
      option(
        '--alternatives <n>',
        `alternatives per token for --json and --show-probs (default: ${ALTERNATIVES})`,
        wholeNumber({ max: 100 }),
      ),
    )
    .addOption(
      command
        .createOption('-i, --interactive', 'co-write in turns; /help lists the commands')
        .conflicts('json')
        .conflicts('numSamples'),
    )
    .addOption(
      command
        .createOption('--pick', 'choose each token from the likeliest, then continue as with -i')
        .conflicts('json')
        .conflicts('numSamples'),
    );
}

async function sample(argumentPrompt: string | undefined, given: Flags, command: Command): Promise<void> {
  const flags = argumentPrompt === undefined ? given : withPrompt(given, argumentPrompt);
  checkBeams(flags, command);
  if (flags.encoding !== undefined && flags.prompt !== undefined && flags.prompt !== '-')
    throw new UsageError(
      'conflicting-options',
      '--encoding has no effect on a prompt given on the command line',
      {
        hint: 'it applies to --prompt-file, --prompts and stdin',
      },
    );
  const { folder: opened, backend } = await openModel(flags);
  try {
    const folder = flags.ignoreEos ? { ...opened, tokenizer: withoutEnds(opened.tokenizer) } : opened;
    const { tokenizer, config } = folder;
    if (flags.documents && tokenizer.special.endIds.size === 0)
      throw new UsageError('unsuitable-tokenizer', 'the model has no token that ends a document', {
        hint: 'train one with gpt train --documents lines, for example',
      });
    const banned = flags.allowUnk ? new Set<number>() : bannedIds(tokenizer);
    const makeDecoder = (texts: number): Decoder =>
      Decoder.create(backend, config, (tensors) => folder.load(tensors), texts, folder.storageOf);
    const settings = settingsOf(flags);
    if (flags.interactive || flags.pick) {
      const { interact } = await import('./interactive.ts');
      const model = { decoder: makeDecoder(1), tokenizer };
      await interact(model, settings, banned, flags);
      return;
    }
    await writeAll(flags, settings, banned, folder, makeDecoder);
  } finally {
    await backend.close();
  }
}

/** Merges the argument into the flags. */
function withPrompt(flags: Flags, prompt: string): Flags {
  for (const name of ['prompt', 'promptFile', 'prompts'] as const)
    if (flags[name] !== undefined)
      throw new UsageError(
        'conflicting-options',
        `the prompt ${shownJson(prompt)} and --${kebab(name)} cannot be combined`,
        {
          hint: 'use only one of them',
        },
      );
  if (statSync(resolveRun(prompt), { throwIfNoEntry: false })?.isDirectory() === true)
    throw new UsageError('bad-option-value', `${shownJson(prompt)} is a folder, not a prompt`, {
      hint: `use --model for a model; if it is the prompt, use --prompt ${shownJson(prompt)}`,
    });
  return { ...flags, prompt };
}

/** Samples everything requested. */
async function writeAll(
  flags: Flags,
  asked: SamplingSettings,
  banned: ReadonlySet<number>,
  { tokenizer, config, folder }: ModelFolder,
  makeDecoder: (texts: number) => Decoder,
): Promise<void> {
  const { prompts, numSamples, unk, encoding = UTF8 } = flags;
  const context = decodedContext(config);
  const { maxTokens } = asked;
  const examples =
    flags.fewShot === undefined
      ? undefined
      : (await import('./few-shot.ts')).readExamples(flags.fewShot, {
          model: folder,
          tokenizer,
          unk,
          context,
          maxTokens,
          encoding,
        });
  const settings = { ...asked, stop: [...asked.stop, ...(examples?.stop ?? [])] };
  const read = (line: string, place = ''): Prompt => {
    const prompt = examples?.before(line, place) ?? encode(tokenizer, line, unk, place);
    noticeOfLength(prompt, context, place);
    return prompt;
  };
  const lines =
    prompts === undefined
      ? undefined
      : promptLines(prompts, numSamples, (line, count) => read(line, ` in line ${count}`), { encoding });
  const requests = lines ?? severalTexts(read(readPrompt(flags) ?? ''), numSamples);
  const texts = flags.beams ?? textsAtOnce(config, lines === undefined ? numSamples : MAX_TEXTS);
  const model = { decoder: makeDecoder(texts), tokenizer };
  const interrupt = onInterrupt(() => lines?.close());
  const options = {
    settings,
    banned,
    alternatives: flags.json || flags.showProbs ? (flags.alternatives ?? ALTERNATIVES) : undefined,
    interrupted: () => interrupt.signal !== undefined,
  };
  const documents: string[] = [];
  const titled = numSamples > 1;
  const output =
    flags.json || lines !== undefined
      ? jsonOutput(tokenizer, settings.seed, flags.json === true)
      : flags.showProbs
        ? probabilityOutput(titled, tokenizer)
        : flags.documents
          ? documentOutput((document) => documents.push(document))
          : plainOutput(titled);
  const { beams, lengthPenalty } = flags;
  if (beams === undefined) await writeTexts(model, requests, options, output);
  else await searchTexts(model, requests, options, { beams, lengthPenalty }, output);
  interrupt.end();
  if (flags.documents) await noticeOfCopies(folder, documents);
}

/** Reports how many documents are not in the training text; nothing if that text can no longer be read. */
async function noticeOfCopies(model: string, documents: readonly string[]): Promise<void> {
  // Loaded on demand: the modules that read texts would delay every `gpt sample`.
  const { knownDocuments } = await import('../../evaluate/known-documents.ts');
  const known = knownDocuments(model, documents);
  if (known === undefined || documents.length === 0) return;
  const own = documents.filter((document) => !known.has(document)).length;
  notice(
    `${formatNumber(own)} of ${formatCountOf(documents.length, 'document')} ${own === 1 ? 'is' : 'are'} not in the training text`,
  );
}

/** Sampling parameters have no effect with beams. */
function checkBeams(flags: Flags, command: Command): void {
  const given = (name: string): boolean =>
    !['default', undefined].includes(command.getOptionValueSource(name));
  if (flags.beams === undefined) {
    if (given('lengthPenalty'))
      throw new UsageError('conflicting-options', '--length-penalty has no effect without --beams', {
        hint: 'add --beams 4',
      });
    return;
  }
  const draws = [
    'temperature',
    'topK',
    'topP',
    'minP',
    'typicalP',
    'seed',
    'repetitionPenalty',
    'frequencyPenalty',
    'presencePenalty',
  ].find(given);
  if (draws !== undefined)
    throw new UsageError(
      'conflicting-options',
      `--beams does not sample, so --${kebab(draws)} has no effect`,
      {
        hint: 'omit one of them',
      },
    );
  if (flags.numSamples > flags.beams)
    throw new UsageError(
      'bad-option-value',
      `--num-samples ${flags.numSamples} is more than --beams ${flags.beams} can find`,
      {
        hint: 'beam search finds at most one text per beam',
      },
    );
}
