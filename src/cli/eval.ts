/** `gpt eval`: how well a model predicts a text. */
import type { Command } from 'commander';
import { openCorpus } from '../data/corpus.ts';
import { evaluateText, type TextEvaluation } from '../train/evaluate-text.ts';
import { formatNumber, formatPercent, formatTable } from './format.ts';
import { addExamples } from './help.ts';
import { addModelOptions, openModel, type ModelFlags } from './model-options.ts';
import { argument, choice, filePath, option } from './options.ts';
import { startProgressBar } from './progress-bar.ts';
import { print, stdoutColors } from './terminal.ts';

interface Flags extends ModelFlags {
  readonly encodingErrors: 'strict' | 'replace';
  readonly json?: true;
}

export function register(command: Command): void {
  command.addArgument(argument('[file...]', 'text files or folders; stdin if there is none', filePath));
  addModelOptions(command)
    .addOption(
      option('--encoding-errors <what>', 'strict or replace', choice(['strict', 'replace']), 'strict'),
    )
    .option('--json', 'print the measures as JSON')
    .action(evaluate);
  addExamples(command, [
    ['The newest model on a file', 'gpt eval chapter.txt'],
    ['From a pipe, for a script', 'cat chapter.txt | gpt eval --json | jq .bits_per_byte'],
  ]);
}

async function evaluate(files: string[], flags: Flags): Promise<void> {
  const corpus = openCorpus(files.length === 0 ? ['-'] : files, flags);
  const { folder, backend } = await openModel(flags);
  try {
    const bar = startProgressBar({ label: 'evaluated', total: 100 });
    const result = evaluateText(folder, backend, corpus, (done) => bar?.update(Math.floor(100 * done), []));
    bar?.stop();
    await print(flags.json ? `${JSON.stringify(toJson(result))}\n` : `${table(result)}\n`);
  } finally {
    await backend.close();
  }
}

const toJson = (result: TextEvaluation) => ({
  tokens: result.tokens,
  characters: result.characters,
  bytes: result.bytes,
  unknown_tokens: result.unknown,
  nats_per_token: result.natsPerToken,
  perplexity: result.perplexity,
  bits_per_character: result.bitsPerCharacter,
  bits_per_byte: result.bitsPerByte,
  uniform_nats_per_token: result.uniform,
  unigram_nats_per_token: result.unigram,
});

function table(result: TextEvaluation): string {
  const nats = (value: number): string => `${value.toFixed(4)} nats per token`;
  return formatTable([
    ['text', `${formatNumber(result.tokens)} tokens, ${formatNumber(result.characters)} characters`],
    [
      'unknown tokens',
      `${formatNumber(result.unknown)} (${formatPercent(result.unknown / result.tokens, 2)})`,
    ],
    ['loss', stdoutColors.bold(nats(result.natsPerToken))],
    ['perplexity', result.perplexity.toFixed(3)],
    ['bits per character', result.bitsPerCharacter.toFixed(4)],
    ['bits per byte', result.bitsPerByte.toFixed(4)],
    ['uniform guessing', `${nats(result.uniform)}, ln V`],
    ['unigram guessing', `${nats(result.unigram)}, by this text's own frequencies`],
  ]);
}
