/** `gpt sample`: writes on after a prompt, as it is drawn. */
import type { Command } from 'commander';
import { chunksOf } from '../data/corpus.ts';
import { decodeText } from '../data/decode-text.ts';
import { Decoder } from '../generate/decoder.ts';
import { generate } from '../generate/generate.ts';
import { encodePrompt, startOfText } from '../generate/prompt.ts';
import { UsageError } from '../errors.ts';
import { bannedIds, endOfTextIds } from '../tokenizer/tokenizer.ts';
import { addExamples } from './help.ts';
import { onInterrupt } from './interrupt.ts';
import { addModelOptions, openModel, type ModelFlags } from './model-options.ts';
import { choice, fraction, number, option, seed, wholeNumber } from './options.ts';
import { notice, print, printable, stdoutColors } from './terminal.ts';

interface Flags extends ModelFlags {
  readonly prompt?: string;
  readonly maxTokens: number;
  readonly numSamples: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly greedy?: true;
  readonly seed?: number;
  readonly unk: 'error' | 'skip' | 'replace';
}

export function register(command: Command): void {
  addModelOptions(command)
    .addOption(
      option('-p, --prompt <text>', 'what to continue; - or a pipe: stdin', {
        expected: 'text',
        read: (text) => text,
      }),
    )
    .addOption(option('-n, --max-tokens <n>', 'how many to write', wholeNumber({ min: 1 }), 500))
    .addOption(option('--num-samples <n>', 'how many texts to write', wholeNumber({ min: 1 }), 1))
    .addOption(
      option('-t, --temperature <x>', 'below 1 bolder, above 1 wilder; 0: greedy', number({ min: 0 }), 0.8),
    )
    .addOption(option('--top-k <n>', 'draw among the n likeliest; 0: all', wholeNumber(), 0))
    .addOption(option('--top-p <p>', 'draw among the likeliest that reach p', fraction, 1))
    .option('--greedy', 'always take the likeliest')
    .addOption(option('--seed <n>', 'of the draws; default: another one each time', seed))
    .addOption(
      option(
        '--unk <what>',
        'prompt text the model lacks: error, skip or replace',
        choice(['error', 'skip', 'replace']),
        'error',
      ),
    )
    .action(sample);
  addExamples(command, [
    ['Continue a line', 'gpt sample --prompt "Call me"'],
    ['The same text again', 'gpt sample --prompt "Call me" --seed 1'],
    ['Three careful ones from a pipe', 'echo "Whales are" | gpt sample --num-samples 3 --top-p 0.9'],
  ]);
}

async function sample(flags: Flags): Promise<void> {
  const { folder, backend } = await openModel(flags);
  const interrupt = onInterrupt();
  try {
    const { tokenizer, config } = folder;
    const prompt = readPrompt(flags.prompt);
    const { ids, unknown } =
      prompt === undefined ? startOfText(tokenizer) : encodePrompt(tokenizer, prompt, flags.unk);
    if (unknown > 0)
      notice(
        `${unknown} unknown ${unknown === 1 ? 'token was' : 'tokens were'} ${flags.unk === 'skip' ? 'left out of' : 'replaced in'} the prompt`,
      );
    if (ids.length > config.blockSize)
      notice(`The prompt has ${ids.length} tokens; the model sees the last ${config.blockSize}.`);
    const decoder = Decoder.create(backend, config, (tensors) => folder.load(tensors));

    const options = {
      ...flags,
      temperature: flags.greedy ? 0 : flags.temperature,
      seed: flags.seed ?? Math.floor(Math.random() * 2 ** 32),
      banned: bannedIds(tokenizer),
      stop: endOfTextIds(tokenizer),
    };
    const safe = process.stdout.isTTY ? printable : (text: string) => text;
    for (let n = 0; n < flags.numSamples; n++) {
      if (flags.numSamples > 1)
        await print(`${n > 0 ? '\n' : ''}${stdoutColors.dim(`--- sample ${n + 1}`)}\n`);
      if (prompt !== undefined) await print(stdoutColors.bold(safe(prompt)));
      const text = tokenizer.decoder();
      for (const id of generate(decoder, ids, { ...options, sample: n })) {
        await print(safe(text.push([id])));
        await new Promise(setImmediate); // signals and a closed pipe are noticed in between
        if (interrupt.signal !== undefined) break;
      }
      await print(`${safe(text.end())}\n`);
      if (interrupt.signal !== undefined) break;
    }
  } finally {
    await backend.close();
  }
  interrupt.end();
}

/** The prompt given, or stdin's text if there is a pipe. */
function readPrompt(prompt: string | undefined): string | undefined {
  if (prompt !== undefined && prompt !== '-') {
    if (prompt === '')
      throw new UsageError('--prompt is empty', { hint: 'leave it out to start from nothing' });
    return prompt.toWellFormed();
  }
  if (prompt === undefined && process.stdin.isTTY) return undefined;
  const text = [...decodeText(chunksOf(0), 'stdin', { encodingErrors: 'strict' })].join('');
  const line = text.replace(/\r?\n$/, ''); // `echo` ends its line; a prompt rarely means to
  if (line !== '') return line;
  if (prompt === '-') throw new UsageError('stdin has no text for the prompt');
  return undefined;
}
