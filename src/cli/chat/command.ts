/** `gpt chat`: a conversation with a model. */
import type { Command } from 'commander';
import { CachedTokens } from '../../generate/cached-tokens.ts';
import { decodedContext, Decoder } from '../../generate/decoder.ts';
import type { Unk } from '../../generate/prompt.ts';
import { isChatModel } from '../../chat/chat-renderer.ts';
import { bannedIds } from '../../tokenizer/tokenizer.ts';
import { anyText, filePath } from '../../values.ts';
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
  command.addArgument(argument('[model]', 'a model folder, like --model', modelFolder));
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
    ['One message per line, from a pipe', 'echo "What is a token?" | gpt chat'],
    ['For a script', 'gpt chat --json --greedy < questions.txt | jq -r .assistant'],
  ]);
  command.action(run);
}

const ONE_MESSAGE = 'omit one of them; a single message comes from a pipe: echo "…" | gpt chat';

async function run(named: string | undefined, flags: Flags, command: Command): Promise<void> {
  const model = argumentOrModel(named, flags, command, ONE_MESSAGE);
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
      { system: flags.system, json: flags.json === true },
    );
  } finally {
    await backend.close();
  }
}
