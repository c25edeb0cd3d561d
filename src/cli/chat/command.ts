/** `gpt chat`: a conversation with a model. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { CachedTokens } from '../../generate/cached-tokens.ts';
import { decodedContext, Decoder } from '../../generate/decoder.ts';
import type { Unk } from '../../generate/prompt.ts';
import { isChatModel } from '../../chat/chat-renderer.ts';
import { UsageError } from '../../errors.ts';
import { shownJson } from '../../json.ts';
import { shellQuoted } from '../../shell-quote.ts';
import { bannedIds } from '../../tokenizer/tokenizer.ts';
import { anyText, filePath, nonEmptyText } from '../../values.ts';
import { commandName } from '../command-name.ts';
import { addExamples } from '../help.ts';
import {
  addModelOptions,
  argumentOrModel,
  modelFolder,
  openModel,
  unkOption,
  type ModelFlags,
} from '../model-options.ts';
import { argument, option } from '../options.ts';
import { addSettings, settingsOf, type SamplingSettings } from '../sampling-settings.ts';
import { warn } from '../terminal.ts';
import { chatFormat } from './format.ts';
import { chat } from './loop.ts';

interface Flags extends ModelFlags, Omit<SamplingSettings, 'seed' | 'stop'> {
  readonly system?: string;
  readonly chatTemplate?: string;
  readonly unk: Unk;
  readonly stop?: readonly string[];
  readonly seed?: number;
  readonly greedy?: true;
  readonly json?: true;
}

export function register(command: Command): void {
  command
    .addArgument(argument('[model]', 'a model folder, like --model', modelFolder))
    .addArgument(argument('[message]', 'a message to answer, without a conversation', nonEmptyText));
  addModelOptions(command);
  command.optionsGroup('Conversation:');
  command
    .addOption(option('--system <text>', 'system message, before the first turn', anyText))
    .addOption(
      option(
        '--chat-template <file>',
        "Jinja template in place of the model's own; chatml: ChatML",
        filePath,
      ),
    )
    .addOption(unkOption('text', 'replace'));
  command.optionsGroup('Sampling parameters, in the order in which they apply:');
  addSettings(command);
  command.option('--greedy', 'always take the likeliest token');
  command.optionsGroup('Output:');
  command.option('--json', 'print JSON lines: a message, its answer and their token counts');
  addExamples(command, [
    ['Chat with the newest model', 'gpt chat'],
    [
      'With a model of your own, and a system message',
      'gpt chat dialogues-1 --system "Answer in a few words."',
    ],
    ['A single message', 'gpt chat dialogues-1 "What is a token?"'],
    ['One message per line, from a pipe', 'gpt chat < questions.txt'],
    ['For a script', 'gpt chat --json --greedy < questions.txt | jq -r .assistant'],
  ]);
  command.action(run);
}

async function run(first: string | undefined, second: string | undefined, flags: Flags, command: Command) {
  // With --model, the only argument is the message.
  const isMessage = second === undefined && command.getOptionValueSource('model') === 'cli';
  const [named, message] = isMessage ? [undefined, first] : [first, second];
  if (message === undefined && named !== undefined) refuseMessage(named);
  const model = argumentOrModel(named, flags, command);
  const { folder, backend } = await openModel({ ...flags, ...(model !== undefined && { model }) });
  try {
    const { tokenizer, config } = folder;
    const format = chatFormat(folder, flags);
    if (!isChatModel(tokenizer))
      warn('the model was not trained on conversations: it continues text, whatever the template says');
    const decoder = Decoder.create(backend, config, (tensors) => folder.load(tensors), 1, folder.storageOf);
    await chat(
      {
        tokenizer,
        format,
        blockSize: decodedContext(config),
        cache: new CachedTokens(decoder),
        banned: bannedIds(tokenizer),
      },
      settingsOf(flags),
      { system: flags.system, message, json: flags.json === true },
    );
  } finally {
    await backend.close();
  }
}

/** @throws UsageError if a text is where the model should be */
function refuseMessage(model: string): void {
  if (!/\s/.test(model) || existsSync(model)) return;
  throw new UsageError('missing-argument', `${shownJson(model)} is not a model folder`, {
    hint: `to ask a model: ${commandName()} chat MODEL ${shellQuoted(model)}`,
  });
}
